"""When a child runs the next job, and when another child takes its place."""

from __future__ import annotations

import importlib
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import psutil
from picloud_model import wire

from tests.unit.worker.jobs import pid

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def test_another_bundle_gets_another_child(api: FakeApi, worker: Worker) -> None:
    """Code of one bundle never runs with the modules of another."""
    bundles = []
    for text in (b"V = 1\n", b"V = 2\n"):
        module = wire.Module("shipped/inner.py", api.store(text))
        manifest = wire.Manifest([wire.Module("shipped/__init__.py", api.store(b"")), module])
        bundles.append(api.store(wire.encode(manifest)))

    def imported() -> tuple[int, int]:
        return importlib.import_module("shipped.inner").V, os.getpid()

    first, second, again = (api.result(api.submit(imported, bundle=bundles[n])) for n in (0, 1, 1))

    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert again == second


def test_leftover_threads_end_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """The result of the job counts; the next job, even of the same lease, runs elsewhere."""

    def leave() -> int:
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        return os.getpid()

    batch = api.submit(leave, [()] * 3)

    assert len({api.result(batch, n) for n in range(3)}) == 3


def test_leftover_processes_end_with_the_job(api: FakeApi, worker: Worker) -> None:
    """A process that a job leaves behind is killed with its interpreter, even a detached one."""

    def leave() -> tuple[int, int]:
        command = ["setsid", "-f", "sh", "-c", "echo $$; exec sleep 100"]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        return os.getpid(), int(started.stdout.readline())

    before, leftover = api.result(api.submit(leave))

    assert api.result(api.submit(pid)) != before
    api.until(lambda: not psutil.pid_exists(leftover))


def test_finished_processes_are_no_leftovers(api: FakeApi, worker: Worker) -> None:
    """A job that did not wait for a finished process keeps its interpreter."""

    def run() -> int:
        subprocess.Popen(["true"])
        return os.getpid()

    assert api.result(api.submit(run)) == api.result(api.submit(pid))


def left_behind() -> int | None:
    """Leave a mark in this interpreter; return the one that is there."""
    mark: int | None = getattr(wire, "MARK", None)
    wire.MARK = os.getpid()  # type: ignore[attr-defined]
    return mark


def test_kill_process_runs_one_job_a_process(api: FakeApi, worker: Worker) -> None:
    """With `_kill_process` no other job runs in the same interpreter."""
    batch = api.submit(pid, [()] * 5, options=wire.Options(kill_process=True))
    processes = [api.result(batch, number) for number in range(5)]

    assert len(set(processes)) == 5
    assert api.result(api.submit(pid)) not in processes


def test_kill_process_finds_nothing_that_other_jobs_left(api: FakeApi, worker: Worker) -> None:
    """Its interpreter is a new one, also if a used one is at hand."""
    assert api.result(api.submit(left_behind)) is None
    assert api.result(api.submit(left_behind)) is not None

    fresh = api.result(api.submit(left_behind, options=wire.Options(kill_process=True)))

    assert fresh is None
