"""A worker and its children: when one goes on, and when another takes its place."""

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
    """Code of one bundle never runs with modules of another."""
    bundles = []
    for text in (b"V = 1\n", b"V = 2\n"):
        module = wire.Module("shipped/inner.py", api.store(text))
        manifest = wire.Manifest([wire.Module("shipped/__init__.py", api.store(b"")), module])
        bundles.append(api.store(wire.encode(manifest)))

    def look() -> tuple[int, int]:
        return importlib.import_module("shipped.inner").V, os.getpid()

    first, second, again = (api.result(api.submit(look, bundle=bundles[n])) for n in (0, 1, 1))

    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert again == second


def test_left_over_threads_end_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """The job's result counts; the next job, also of the same lease, runs in another process."""

    def leave() -> int:
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        return os.getpid()

    batch = api.submit(leave, [()] * 3)

    assert len({api.result(batch, n) for n in range(3)}) == 3


def test_left_over_processes_end_with_the_job(api: FakeApi, worker: Worker) -> None:
    """A process that a job leaves behind is ended with its interpreter, however it detached."""

    def leave() -> tuple[int, int]:
        command = ["setsid", "-f", "sh", "-c", "echo $$; exec sleep 100"]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        return os.getpid(), int(started.stdout.readline())

    before, left = api.result(api.submit(leave))

    assert api.result(api.submit(pid)) != before
    assert not psutil.pid_exists(left) or psutil.Process(left).wait(5) is None


def test_processes_that_ended_are_no_leftovers(api: FakeApi, worker: Worker) -> None:
    """A job that did not wait for a process that is done keeps its interpreter."""

    def run() -> int:
        subprocess.Popen(["true"])
        return os.getpid()

    assert api.result(api.submit(run)) == api.result(api.submit(pid))
