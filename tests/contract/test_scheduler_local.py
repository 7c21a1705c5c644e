"""What the local scheduler promises beyond the port: on disk, of processes, after crashes."""

import asyncio
import json
import multiprocessing
import os
import signal
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from picloud_driver.scheduler import Burst, Pool, SlotEnd
from picloud_driver.scheduler.local import LocalScheduler
from picloud_driver.scheduler.local_process import Process, _birth_by_ps, birth_of
from picloud_driver.scheduler.local_records import LOGS_KEPT
from picloud_model.errors import RequestRefused, Unavailable

from tests.contract.deadline import DEADLINE_S, until
from tests.contract.full_disk import file_size_limit
from tests.contract.scheduler_site import KEY, URL, Local, runs, start_and_die

POOL = Pool("a0000001", "c1", 1)
ONE = Burst("pc-1", POOL, 1)
TWO = Burst("pc-1", POOL, 2)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Local]:
    """A directory for slots, none of which is left afterwards."""
    made = Local(tmp_path)
    yield made
    await made.kill_all()


@pytest.fixture
async def scheduler(site: Local) -> AsyncIterator[LocalScheduler]:
    """A port on that directory."""
    opened = site.open()
    yield opened
    await opened.close()


def running(site: Local, *command: str) -> LocalScheduler:
    """A scheduler whose slots run another program."""
    return LocalScheduler(site.root, URL, signing_key=KEY, slots=2, command=command)


async def all_ends(scheduler: LocalScheduler, count: int) -> list[SlotEnd]:
    """So many ends."""
    ends: list[SlotEnd] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(ends) < count:
            ends += await scheduler.ended(DEADLINE_S)
    return ends


def exists(pid: int) -> bool:
    """Whether there is a process of that number, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


def listed(directory: Path) -> list[str]:
    """What lies in a directory."""
    return sorted(path.name for path in directory.iterdir())


# --- how a slot is started ------------------------------------------------------------------------


async def test_a_slot_is_the_worker_in_the_pythons_own_mode(site: Local, tmp_path: Path) -> None:
    """By default a slot is `python -P -m picloud_worker`: its work directory is not imported."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@" > .arguments\nmv .arguments arguments\nsleep 600\n')
    python.chmod(0o700)
    scheduler = LocalScheduler(site.root, URL, signing_key=KEY, slots=2, python=str(python))
    await scheduler.start(ONE)
    [presence] = await scheduler.presences()
    told = site.root / "slots" / presence.place / "arguments"

    await until(told.exists, "the slot told its arguments")
    await scheduler.close()

    words = told.read_text().split()
    assert words[:3] == ["-P", "-m", "picloud_worker"]
    assert words[3:-1] == ["--url", URL, "--place", presence.place, "--proof-fd"]


async def test_a_slot_leads_its_own_session(site: Local, scheduler: LocalScheduler) -> None:
    """So that neither Ctrl-C nor a closed terminal of the server reaches it."""
    await scheduler.start(ONE)
    [presence] = await scheduler.presences()

    slot = await site.slot(presence.place)

    assert slot.seen["session"] == slot.pid
    assert slot.seen["directory"] == str(site.root / "slots" / presence.place)


async def test_an_environment_is_refused(scheduler: LocalScheduler) -> None:
    """A pool of an image cannot be had, rather than be run in another Python."""
    with pytest.raises(RequestRefused, match="environment"):
        await scheduler.start(Burst("pc-1", Pool("a0000001", "c1", 1, "sha256:0"), 1))


async def test_files_are_the_servers_own(site: Local, scheduler: LocalScheduler) -> None:
    """Directories have mode 0700, records and logs 0600."""
    await scheduler.start(ONE)
    [presence] = await scheduler.presences()
    slots = site.root / "slots"

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (slots, *slots.iterdir())}

    assert modes == {
        slots: 0o700,
        slots / presence.place: 0o700,
        slots / f"{presence.place}.json": 0o600,
        slots / f"{presence.place}.log": 0o600,
    }


async def test_capacity_is_what_was_given(scheduler: LocalScheduler) -> None:
    """The number of slots is a setting."""
    assert await scheduler.capacity("c1") == 2


# --- what can fail --------------------------------------------------------------------------------


async def test_a_slot_that_cannot_be_recorded_ends(site: Local, scheduler: LocalScheduler) -> None:
    """When the disk takes no record, no slot is left; asked again, the burst starts."""
    with file_size_limit(10), pytest.raises(Unavailable):
        await scheduler.start(TWO)
    await until(lambda: not site.processes(), "the slot without a record ended")
    left = listed(site.root / "slots")

    await scheduler.start(TWO)

    assert [name for name in left if not name.endswith(".log")] == []
    assert len(await scheduler.presences()) == 2


async def test_a_missing_program_is_told(site: Local) -> None:
    """Without its Python no slot starts: `start` and `ping` name it, and nothing is left."""
    scheduler = running(site, "/nowhere/python")

    with pytest.raises(Unavailable, match="/nowhere/python"):
        await scheduler.start(ONE)
    with pytest.raises(Unavailable, match="/nowhere/python"):
        await scheduler.ping()

    assert await scheduler.presences() == []
    assert [name for name in listed(site.root / "slots") if not name.endswith(".log")] == []


async def test_a_slot_that_dies_at_once_is_told(site: Local) -> None:
    """Its end is answered with its status and its last words, and it leaves no zombie."""
    scheduler = running(site, "/bin/sh", "-c", "echo broken >&2; exit 7")
    await scheduler.start(TWO)
    pids = [json.loads(path.read_text())["pid"] for path in site.root.glob("slots/*.json")]

    ends = await all_ends(scheduler, 2)

    assert [end.detail for end in ends] == ["exit status 7; its log ends:\nbroken"] * 2
    assert await scheduler.presences() == []
    assert [pid for pid in pids if exists(pid)] == []


async def test_a_killed_slot_takes_its_children_along(
    site: Local, scheduler: LocalScheduler
) -> None:
    """What a slot has started ends with it, in whichever process group it is."""
    await scheduler.start(ONE)
    [presence] = await scheduler.presences()
    slot = await site.slot(presence.place)
    child = int(await slot.obey("child"))

    os.kill(slot.pid, signal.SIGKILL)
    await all_ends(scheduler, 1)

    await until(lambda: not runs(child), "the slot's child ended")


# --- what is left ---------------------------------------------------------------------------------


async def test_little_is_left_of_ended_places(site: Local) -> None:
    """Once an end was dealt with, record and work directory go; the last 20 logs stay."""
    scheduler = running(site, "/bin/sh", "-c", "mkdir -p a/b; touch a/b/c; exit 0")
    await scheduler.start(Burst("pc-1", POOL, LOGS_KEPT + 3))
    await all_ends(scheduler, LOGS_KEPT + 3)

    await scheduler.ended(0)

    left = listed(site.root / "slots")
    assert len(left) == LOGS_KEPT
    assert {Path(name).suffix for name in left} == {".log"}


async def test_leftovers_go_after_a_day(site: Local, scheduler: LocalScheduler) -> None:
    """At its opening a scheduler removes what crashes left a day ago, and nothing that lives."""
    await scheduler.start(ONE)
    [presence] = await scheduler.presences()
    slots, bursts = site.root / "slots", site.root / "bursts"
    (slots / "pc-0-abandoned").mkdir()
    (slots / ".pc-0.json.0").write_text("half")
    (bursts / "pc-0").write_text("1")
    for path in (*slots.iterdir(), *bursts.iterdir()):
        os.utime(path, (time.time() - 90_000,) * 2)

    site.open()

    places = [presence.place, f"{presence.place}.json", f"{presence.place}.log"]
    assert (listed(slots), listed(bursts)) == (places, ["pc-1"])


async def test_a_damaged_record_is_dropped(site: Local, scheduler: LocalScheduler) -> None:
    """What a power cut has left of a record stops nobody."""
    (site.root / "slots" / "pc-0-x.json").write_bytes(b"\0\0")

    assert await scheduler.presences() == []
    assert listed(site.root / "slots") == []


# --- after a restart ------------------------------------------------------------------------------


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is no slot and leads a session, as slots do."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True, cwd=tmp_path)
    yield process
    process.kill()
    process.wait()


async def test_a_stranger_is_no_slot(site: Local, stranger: subprocess.Popen[bytes]) -> None:
    """A pid that another process has by now is not taken for the slot, nor is it ended."""
    start_and_die(site, ONE)
    [slot] = site.slots()
    record = next((site.root / "slots").glob("*.json"))
    record.write_text(record.read_text().replace(f":{slot.pid},", f":{stranger.pid},"))
    scheduler = site.open()

    [end] = await all_ends(scheduler, 1)
    await scheduler.stop("pc-1")

    assert (end.clean, end.detail) == (False, "it ended while no server ran")
    assert stranger.poll() is None


def _start_for_ever(site: Local) -> None:
    async def start() -> None:
        scheduler = site.open()
        for number in range(10_000):
            await scheduler.start(Burst(f"pc-{number}", POOL, 2))
            await scheduler.stop(f"pc-{number}")

    asyncio.run(start())


@pytest.mark.parametrize("delay_s", [0.0, 0.003, 0.006, 0.009, 0.012])
async def test_a_server_killed_at_any_moment_loses_no_slot(site: Local, delay_s: float) -> None:
    """Each slot is the next server's, or ends by itself as it gets no proof."""
    server = multiprocessing.get_context("spawn").Process(target=_start_for_ever, args=(site,))
    server.start()
    await until(lambda: len(site.processes()) > 0, "a slot was started")
    await asyncio.sleep(delay_s)
    server.kill()
    await asyncio.to_thread(server.join, DEADLINE_S)
    later = site.open()
    known = {presence.burst for presence in await later.presences()}

    await asyncio.gather(*(later.stop(burst) for burst in known))

    await until(lambda: not site.processes(), "every slot ended")
    await later.close()


# --- other loops and systems ----------------------------------------------------------------------


async def _tell_an_end(site: Local, scheduler: LocalScheduler) -> list[SlotEnd]:
    """Kill one of two slots, await its end, stop the other."""
    found = await scheduler.presences()
    os.kill((await site.slot(found[0].place)).pid, signal.SIGKILL)
    async with asyncio.timeout(2.0):
        ends = list(await scheduler.ended(2.0))
    await scheduler.stop("pc-1")
    ends += await scheduler.ended(2.0)
    await scheduler.close()
    return ends


def test_ends_are_told_by_uvloop(site: Local) -> None:
    """Under the server's own event loop as under asyncio's."""

    async def scenario() -> list[SlotEnd]:
        scheduler = site.open()
        await scheduler.start(TWO)
        return await _tell_an_end(site, scheduler)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        first, second = runner.run(scenario())

    assert "signal 9" in first.detail
    assert second.detail == "stopped by the server, signal 15 (Terminated)"


def _without_pidfd(site: Local, scenario: Callable[[Local], Coroutine[Any, Any, None]]) -> None:
    del os.pidfd_open
    asyncio.run(scenario(site))


async def _start_and_tell(site: Local) -> None:
    scheduler = site.open()
    await scheduler.start(TWO)
    first, second = await _tell_an_end(site, scheduler)
    assert "signal 9" in first.detail
    assert "signal 15" in second.detail


async def _adopt_and_tell(site: Local) -> None:
    scheduler = site.open()
    await scheduler.start(TWO)
    first, second = await _tell_an_end(site, scheduler)
    assert "status unknown" in first.detail
    assert not second.clean


@pytest.mark.parametrize("scenario", [_start_and_tell, _adopt_and_tell])
async def test_ends_are_told_without_pidfd(
    site: Local, scenario: Callable[[Local], Coroutine[Any, Any, None]]
) -> None:
    """Where the system cannot tell of an end, it is found by looking, within 2 s all the same."""
    if scenario is _adopt_and_tell:
        start_and_die(site, TWO)
    spawn = multiprocessing.get_context("spawn")
    server = spawn.Process(target=_without_pidfd, args=(site, scenario))
    server.start()

    await asyncio.to_thread(server.join, DEADLINE_S)

    assert server.exitcode == 0


def test_a_process_is_known_by_its_birth() -> None:
    """Two processes differ in birth, one does not from itself, by /proc and by `ps`."""
    sleeper = subprocess.Popen(["sleep", "600"])
    me = os.getpid()
    births = [birth_of(me), birth_of(me), birth_of(sleeper.pid)]
    by_ps = [_birth_by_ps(me), _birth_by_ps(me)]
    found = Process.find(sleeper.pid, "another birth")
    sleeper.kill()
    sleeper.wait()

    assert births[0] == births[1] != births[2]
    assert None not in births
    assert by_ps[0] == by_ps[1] is not None
    assert found is None
    assert (birth_of(sleeper.pid), _birth_by_ps(sleeper.pid)) == (None, None)
    assert Process.find(sleeper.pid) is None
