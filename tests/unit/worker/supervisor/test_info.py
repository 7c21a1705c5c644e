"""The infos of jobs: what each of many jobs of one child printed, logged and used."""

from __future__ import annotations

import ctypes
import itertools
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_worker.ipc.frames import JobStats
from picloud_worker.ipc.scoreboard import StartedJob
from picloud_worker.supervisor.info import KEPT_S, MOST_KEPT, MOST_SAMPLES, JobMonitor
from picloud_worker.supervisor.output import Output
from picloud_worker.system.kernel.traffic import Traffic

from tests.unit.worker.jobs import appears
from tests.unit.worker.worker import Worker

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi


def texts(api: FakeApi, batch: str, index: int = 0) -> dict[str, str]:
    """Return what a job wrote, by stream."""
    return {name: stream.data.decode() for name, stream in info(api, batch, index).streams.items()}


def info(api: FakeApi, batch: str, index: int = 0) -> wire.Info:
    """Return the info of a job."""
    api.until(lambda: (batch, index) in api.ended)
    content = api.ended[batch, index].info
    if content is None:
        return wire.Info()
    data = content.data if content.data is not None else api.blobs[content.digest]
    return wire.unpack_info(data)


def test_output_is_cut_at_job_boundaries(api: FakeApi, worker: Worker) -> None:
    """Each of many jobs of one child has exactly the bytes that it printed."""

    def speak(n: int) -> None:
        print(f"out {n}" * (n % 3))
        sys.stderr.write(f"err {n}")
        if n % 2:
            logging.getLogger("mine").debug("log %d", n)

    batch = api.submit(speak, [(n,) for n in range(200)])

    for n in range(200):
        streams = texts(api, batch, n)
        assert streams["stdout"] == f"out {n}" * (n % 3) + "\n"
        assert streams["stderr"] == f"err {n}"
        assert streams.get("logging", "").endswith(f"DEBUG mine: log {n}\n" if n % 2 else "")


def test_output_of_any_origin_counts(api: FakeApi, worker: Worker) -> None:
    """Output of C code, subprocesses and forks belongs to the job, in the order written."""

    def speak(n: int) -> None:
        print("python", n)
        ctypes.CDLL(None).printf(b"c %d", n)
        if pid := os.fork():
            os.waitpid(pid, 0)
        else:
            logging.getLogger().warning("from a fork of %d", n)
            os._exit(0)
        subprocess.run(["sh", "-c", f"echo sub {n} >&2"], check=True)

    batch = api.submit(speak, [(n,) for n in range(3)])

    for n in range(3):
        streams = texts(api, batch, n)
        assert streams["stdout"] == f"python {n}\nc {n}"
        assert streams["stderr"] == f"sub {n}\n"
        assert streams["logging"].endswith(f"from a fork of {n}\n")


def test_a_silent_job_has_no_info(api: FakeApi, worker: Worker) -> None:
    """A quick and silent job adds no byte to its report, even after one with output."""
    batch = api.submit(lambda n: n or print("x"), [(n,) for n in range(5)], size=5)

    results = [api.result(batch, n) for n in range(5)]

    assert results == [None, 1, 2, 3, 4]
    assert [api.ended[batch, n].info is None for n in range(5)] == [False, *[True] * 4]


def test_logging_is_apart_from_stderr(api: FakeApi, worker: Worker) -> None:
    """Every level is captured, and not in stderr, even after a job has changed the handlers."""

    def speak() -> None:
        logging.getLogger().debug("quiet")
        logging.getLogger("a.b").critical("loud")
        logging.basicConfig(force=True, stream=sys.stdout)

    batch = api.submit(speak, [(), ()], size=1)

    for n in range(2):
        streams = texts(api, batch, n)
        assert "stderr" not in streams
        lines = streams["logging"].splitlines()
        assert [line.partition(" ")[2].partition(" ")[2] for line in lines] == [
            "DEBUG root: quiet",
            "CRITICAL a.b: loud",
        ]


def test_only_the_end_of_a_long_output_travels(api: FakeApi, worker: Worker) -> None:
    """It is the last 64k characters of each stream, with the number of bytes before them."""

    def speak() -> None:
        sys.stdout.write("x" * 1000 + "ü" * 65536)
        sys.stderr.write("é" * 65536)

    received = info(api, api.submit(speak))

    assert received.streams["stdout"] == wire.Stream(1000, ("ü" * 65536).encode())
    assert received.streams["stderr"] == wire.Stream(0, ("é" * 65536).encode())


def test_an_info_too_large_for_a_report_is_a_blob(api: FakeApi, worker: Worker) -> None:
    """Output that cannot be compressed is uploaded, and the report names the blob."""

    def speak() -> None:
        import random

        for stream in (sys.stdout, sys.stderr):
            stream.write("".join(chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(65536)))

    batch = api.submit(speak)

    received = info(api, batch)
    content = api.ended[batch, 0].info
    assert content is not None
    assert content.data is None
    assert [len(received.streams[name].data) for name in ("stdout", "stderr")] == [3 * 65536] * 2


def test_what_a_job_uses_is_measured(api: FakeApi, worker: Worker) -> None:
    """CPU of the job alone, with the processes it waited for, and its peak memory."""

    def spin(megabytes: int) -> None:
        held = b"x" * megabytes * 2**20
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        code = "import time\nwhile time.process_time() < 0.5: pass"
        if megabytes:
            subprocess.run([sys.executable, "-c", code], check=True)
        del held

    batch = api.submit(spin, [(100,), (0,)])

    large, small = info(api, batch, 0), info(api, batch, 1)
    assert (large.user_s or 0) + (large.system_s or 0) > 0.54
    assert 0.04 < (small.user_s or 0) + (small.system_s or 0) < 0.5
    assert (large.peak_bytes or 0) > 100 * 2**20
    assert 2**20 < (small.peak_bytes or 0) < 100 * 2**20


def test_a_profile_is_readable(api: FakeApi, worker: Worker) -> None:
    """With `_profile` the function runs under cProfile; a failed one has a profile, too."""

    def outer(n: int) -> int:
        return sum(map(inner, range(1000))) // n

    def inner(n: int) -> int:
        return n

    batch = api.submit(outer, [(1,), (0,)], options=wire.Options(profile=True))

    profile = info(api, batch, 0).profile
    assert profile is not None
    assert "ncalls  tottime  percall  cumtime" in profile
    assert "1000" in next(line for line in profile.splitlines() if "(inner)" in line)
    failure = api.failure(batch, 1)
    assert failure.message.startswith("ZeroDivisionError")
    assert "cProfile" not in failure.traceback
    assert "(outer)" in (info(api, batch, 1).profile or "")


def test_a_crash_keeps_the_output(api: FakeApi, worker: Worker) -> None:
    """A crashed job has its output, and the next job has its own."""

    def crash(n: int) -> None:
        print("before", n)
        if n:
            logging.getLogger().info("last")
            os.abort()

    batch = api.submit(crash, [(0,), (1,), (0,)])

    assert texts(api, batch, 0) == texts(api, batch, 2) == {"stdout": "before 0\n"}
    crashed = texts(api, batch, 1)
    assert crashed["stdout"] == "before 1\n"
    assert "Fatal Python error: Aborted" in crashed["stderr"]
    assert "INFO root: last" in crashed["logging"]


def test_the_stderr_in_a_failure_is_the_jobs_own(api: FakeApi, worker: Worker) -> None:
    """The failure of a crashed job has its own stderr, not that of the job before."""

    def end(n: int) -> None:
        sys.stderr.write(f"words of {n}\n")
        if n:
            os._exit(3)

    batch = api.submit(end, [(0,), (1,)])

    failure = api.failure(batch, 1)
    assert failure.traceback == "words of 1"


def test_what_was_left_running_is_listed_in_stderr(api: FakeApi, worker: Worker) -> None:
    """Leftover threads are named in the stderr of the job that left them."""

    def leave(n: int) -> None:
        if not n:
            threading.Thread(target=time.sleep, args=(60,), name="forgotten", daemon=True).start()

    batch = api.submit(leave, [(0,), (1,)])

    assert (
        "left running when the job ended, and ended now: thread 'forgotten'"
        in (texts(api, batch, 0)["stderr"])
    )
    api.result(batch, 1)
    assert "stderr" not in texts(api, batch, 1)


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_job_that_replaces_its_streams_harms_no_other(
    api: FakeApi, worker: Worker, descriptor: int
) -> None:
    """What it wrote before is kept, and the next job has the usual streams."""

    def replace(n: int) -> None:
        os.write(descriptor, b"written %d" % n)
        if not n:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            os.write(descriptor, b"lost")

    batch = api.submit(replace, [(0,), (1,)])

    name = ("stdout", "stderr")[descriptor - 1]
    assert [texts(api, batch, n)[name] for n in (0, 1)] == ["written 0", "written 1"]


def test_a_live_query_is_answered(api: FakeApi, worker: Worker) -> None:
    """It arrives with the answer to a heartbeat; the next heartbeat answers it."""

    def speak(path: str) -> None:
        print("so far")
        Path(f"{path}-said").touch()
        while not Path(path).exists():
            time.sleep(0.01)

    path = worker.workdir / "enough"
    batch = api.submit(speak, [(str(path),)])
    appears(worker.workdir / "enough-said")
    api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.running])
    (job,) = api.seen("/v1/heartbeat")[-1].running
    with api.changed:
        api.live = [wire.LiveQuery(7, job), wire.LiveQuery(8, job, {"stdout": 3})]
        api.changed.notify_all()

    beat = api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.live])[0]
    whole, rest = (wire.unpack_info(each.info) for each in beat.live)
    path.touch()

    assert [each.number for each in beat.live] == [7, 8]
    assert whole.streams["stdout"] == wire.Stream(0, b"so far\n")
    assert (whole.memory_bytes or 0) > 2**20
    assert whole.ports == {"tcp": [], "udp": []}
    assert rest == wire.Info(streams={"stdout": wire.Stream(3, b"far\n")})
    assert texts(api, batch) == {"stdout": "so far\n"}


def test_progress_is_that_of_the_job_that_said_it(api: FakeApi, worker: Worker) -> None:
    """It is seen while the job runs and afterwards; the next job of the process has none."""

    def work(path: str) -> None:
        import cloud

        print("begins")
        if path:
            cloud.progress(1, 4)
            Path(f"{path}-said").touch()
            while not Path(path).exists():
                time.sleep(0.01)
            cloud.progress(4, 4)

    path = worker.workdir / "enough"
    batch = api.submit(work, [(str(path),), ("",)])
    appears(worker.workdir / "enough-said")
    api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.running])
    (job,) = api.seen("/v1/heartbeat")[-1].running
    with api.changed:
        api.live = [wire.LiveQuery(7, job)]
        api.changed.notify_all()
    beat = api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.live])[0]
    path.touch()

    def ended(index: int) -> wire.Info:
        info = api.outcome(batch, index).info
        assert info is not None
        return wire.unpack_info(info.data or b"")

    assert wire.unpack_info(beat.live[0].info).progress == (1.0, 4.0)
    assert [ended(index).progress for index in (0, 1)] == [(4.0, 4.0), None]


def test_a_job_has_the_failures_of_its_own_time(tmp_path: Path) -> None:
    """Those before it are not counted, nor is anything said of a job that was not measured."""
    now, failed = [0.0], [7]
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(os.getpid, outputs, lambda: now[0], lambda: failed[0])
    stats = JobStats(ends=(0, 0, 0), user_s=0.0, system_s=0.0, peak_bytes=0)
    first, second = (StartedJob(generation=1, position=each, started_at=0.0) for each in (0, 1))

    now[0], failed[0] = 5.0, 9
    monitor.sample(first)
    failed[0] = 12
    now[0] = 6.5
    monitor.sample(first)
    long = monitor.ended(1, 0, stats)
    monitor.sample(second)
    short = monitor.ended(1, 1, stats)
    failed[0] = 13
    crashed = monitor.crashed(second)

    contents = [each for each in (long.content, short.content, crashed) if each is not None]
    found = [wire.unpack_info(each.data or b"") for each in contents]
    assert [each.memory_failures for each in found] == [3, None, 1]
    assert [each.peak_swap_bytes is not None for each in found] == [True, False, False]
    for output in outputs:
        output.close()


@pytest.mark.parametrize(("limited", "expected"), [(True, 1), (False, None)])
def test_a_job_that_the_kernel_ended_lacked_memory(
    tmp_path: Path, *, limited: bool, expected: int | None
) -> None:
    """Also if that was counted before the job was noticed; without a limit nothing is known."""
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(os.getpid, outputs, lambda: 0.0, lambda: 7 if limited else None)
    job = StartedJob(generation=1, position=0, started_at=0.0)
    monitor.sample(job)

    crashed = monitor.crashed(job, lacked_memory=True)

    found = wire.unpack_info(crashed.data or b"") if crashed else None
    assert (found.memory_failures if found else None) == expected
    for output in outputs:
        output.close()


def test_the_disk_is_looked_at_when_a_job_ends_or_a_user_asks(tmp_path: Path) -> None:
    """Not for quick jobs, of which there are thousands in a second."""
    now, used = [0.0], [100]
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(
        os.getpid, outputs, lambda: now[0], lambda: None, disk=lambda: used.append(1) or len(used)
    )
    stats = JobStats(ends=(0, 0, 0), user_s=0.0, system_s=0.0, peak_bytes=0)
    first, second = (StartedJob(generation=1, position=each, started_at=0.0) for each in (0, 1))

    monitor.sample(first)
    now[0] = 1.5
    monitor.sample(first)
    running = monitor.live(first, {})
    following = monitor.live(first, {"stdout": 0})
    long = monitor.ended(1, 0, stats)
    monitor.sample(second)
    short = monitor.ended(1, 1, stats)

    contents = [each.content for each in (long, short) if each.content is not None]
    ended = [wire.unpack_info(each.data or b"").disk_bytes for each in contents]
    assert (running.disk_bytes, following.disk_bytes, ended) == (2, None, [3, None])
    for output in outputs:
        output.close()


def test_the_disk_of_a_slot_with_a_file_system_of_its_own(api: FakeApi, tmp_path: Path) -> None:
    """What a job has written into the directory in which it began, as in containers."""

    def work(release: str) -> None:
        Path("large").write_bytes(b"x" * 32_000_000)
        Path(f"{release}-wrote").touch()
        while not Path(release).exists():
            time.sleep(0.01)

    with tempfile.TemporaryDirectory(dir="/dev/shm") as home:
        (tmp_path / "home").symlink_to(home)
        worker = Worker(api, tmp_path)
        try:
            api.submit(work, [(str(tmp_path / "release"),)])
            appears(tmp_path / "release-wrote")
            api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.running])
            (job,) = api.seen("/v1/heartbeat")[-1].running
            with api.changed:
                api.live = [wire.LiveQuery(7, job)]
                api.changed.notify_all()
            beat = api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.live])[0]
        finally:
            worker.end()

    live = wire.unpack_info(beat.live[0].info)
    assert live.network_bytes is not None
    assert min(live.network_bytes) >= 0
    used = live.disk_bytes
    assert used is not None
    assert used >= 32_000_000


def test_failures_are_not_read_for_each_quick_job(tmp_path: Path) -> None:
    """Thousands of jobs may begin in a second; one read is for those of a tenth of it."""
    now, reads = [0.0], []
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(os.getpid, outputs, lambda: now[0], lambda: reads.append(0) or 0)
    stats = JobStats(ends=(0, 0, 0), user_s=0.0, system_s=0.0, peak_bytes=0)

    for position in range(1000):
        now[0] += 0.001
        monitor.sample(StartedJob(generation=1, position=position, started_at=now[0]))
        monitor.ended(1, position, stats)

    assert len(reads) <= 1 + 10
    for output in outputs:
        output.close()


@pytest.mark.parametrize(("hours", "interval_s"), [(0.1, 4), (3, KEPT_S), (40, 2 * KEPT_S)])
def test_samples_of_a_long_job_are_far_apart(
    tmp_path: Path, *, hours: float, interval_s: float
) -> None:
    """One every 30 s is kept for a day; a job of days has as many."""
    now = [0.0]
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(os.getpid, outputs, lambda: now[0])
    job = StartedJob(generation=1, position=0, started_at=0.0)

    for at in range(int(hours * 3600)):
        now[0] = float(at)
        monitor.sample(job)

    samples = monitor.live(job, {}).samples
    assert MOST_SAMPLES / 2 <= len(samples) <= MOST_KEPT
    gaps = {round(after.after_s - before.after_s) for before, after in itertools.pairwise(samples)}
    assert max(gaps) <= 2 * interval_s
    assert min(gaps) >= interval_s / 2
    for output in outputs:
        output.close()


def test_a_job_has_the_traffic_of_its_own_time(tmp_path: Path) -> None:
    """What its slot has received and sent since it began; nothing where that is unknown."""
    now, total = [0.0], [Traffic(1000, 100)]
    outputs = [Output(tmp_path) for _ in range(3)]
    monitor = JobMonitor(os.getpid, outputs, lambda: now[0], traffic=lambda: total[0])
    stats = JobStats(ends=(0, 0, 0), user_s=0.0, system_s=0.0, peak_bytes=0)
    first, second = (StartedJob(generation=1, position=each, started_at=0.0) for each in (0, 1))

    now[0], total[0] = 5.0, Traffic(2000, 150)
    monitor.sample(first)
    now[0], total[0] = 6.5, Traffic(2700, 180)
    monitor.sample(first)
    live = monitor.live(first, {})
    long = monitor.ended(1, 0, stats).content
    monitor.sample(second)
    short = monitor.ended(1, 1, stats).content

    assert live.network_bytes == (700, 30)
    assert long is not None
    assert short is not None
    ended = [wire.unpack_info(each.data or b"").network_bytes for each in (long, short)]
    assert ended == [(700, 30), None]
    for output in outputs:
        output.close()


def test_a_crash_has_what_the_system_says_of_it(tmp_path: Path) -> None:
    """Lines of the kernel about the process of the job, and that the slot lacked memory."""
    now = [0.0]
    outputs = [Output(tmp_path) for _ in range(3)]
    seen = []

    def lines(pid: int, age_s: float) -> list[str]:
        seen.append((pid, age_s))
        return ["kernel: segfault"]

    monitor = JobMonitor(lambda: 42, outputs, lambda: now[0], lambda: 0, system_log=lines)
    job = StartedJob(generation=1, position=0, started_at=0.0)
    monitor.sample(job)
    now[0] = 0.5

    crashed = monitor.crashed(job)
    killed = monitor.crashed(job, lacked_memory=True)

    logs = [wire.unpack_info(each.data or b"").syslog for each in (crashed, killed) if each]
    assert seen[0] == (42, 0.5)
    assert logs[0] == "kernel: segfault\n"
    assert logs[1].startswith("kernel: segfault\nslot: out of memory (")
    for output in outputs:
        output.close()


def test_a_segmentation_fault_is_in_the_system_log(api: FakeApi, worker: Worker) -> None:
    """Where the log of the kernel may be read, if Python does not handle the signal itself."""

    def crash() -> None:
        import faulthandler

        faulthandler.disable()
        ctypes.string_at(0)

    batch = api.submit(crash, [()])

    assert "segfault at 0" in info(api, batch).syslog
