"""What the worker's tests share: a stand-in for the API, and real workers that talk to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.unit.worker.fake_api import FakeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Worker:
    """A worker process and what descends from it."""

    def __init__(self, api: FakeApi, workdir: Path, crashpoint: str = "") -> None:
        reading, writing = os.pipe()
        os.write(writing, b"the proof")
        os.close(writing)
        self.workdir = workdir
        self.log = workdir / "log"
        arguments = ["--url", f"http://127.0.0.1:{api.port}", "--place", "here"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "picloud_worker", *arguments, "--proof-fd", str(reading)],
                cwd=workdir,
                env={"PATH": os.defpath, "PICLOUD_CRASHPOINT": crashpoint},
                pass_fds=(reading,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(reading)
        self.seen = {self.process.pid: psutil.Process(self.process.pid)}

    def family(self) -> list[psutil.Process]:
        """Every living process of the slot, also those seen before whose parents are gone."""
        for known in list(self.seen.values()):
            with suppress(psutil.NoSuchProcess):
                for process in known.children(recursive=True):
                    self.seen[process.pid] = process
        return [process for process in self.seen.values() if alive(process)]

    def wait(self, timeout_s: float = 10.0) -> int:
        """Its exit status."""
        return self.process.wait(timeout_s)

    def gone(self, timeout_s: float = 5.0) -> bool:
        """Wait until nothing of the slot is left."""
        deadline = time.monotonic() + timeout_s
        while self.family():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def end(self) -> None:
        """Kill it with all that is left of it."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


def alive(process: psutil.Process) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A stand-in for the API that listens on a port of its own."""
    fake = FakeApi()
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def start(api: FakeApi, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers; each is ended with the test."""
    workers: list[Worker] = []

    def begin(**more: Any) -> Worker:
        directory = tmp_path / f"slot{len(workers)}"
        directory.mkdir()
        workers.append(Worker(api, directory, **more))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.end()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    """One worker."""
    return start()
