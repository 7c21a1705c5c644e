"""A real worker process that talks to a fake API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi


class Worker:
    """A worker process and its descendants."""

    def __init__(
        self, api: FakeApi, workdir: Path, crashpoint: str = "", packages: Path | None = None
    ) -> None:
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
                env={
                    "PATH": os.defpath,
                    "PICLOUD_CRASHPOINT": crashpoint,
                    "PYTHONPATH": str(packages or ""),
                },
                pass_fds=(reading,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(reading)
        self.seen = {self.process.pid: psutil.Process(self.process.pid)}

    def family(self) -> list[psutil.Process]:
        """Return the living processes of the slot, even those whose parents have exited."""
        for ancestor in list(self.seen.values()):
            with suppress(psutil.NoSuchProcess):
                for process in ancestor.children(recursive=True):
                    self.seen[process.pid] = process
        return [process for process in self.seen.values() if alive(process)]

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its exit, and return its status."""
        return self.process.wait(timeout_s)

    def gone(self, timeout_s: float = 30.0) -> bool:
        """Wait until no process of the slot is left."""
        deadline = time.monotonic() + timeout_s
        while self.family():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def end(self) -> None:
        """Kill all processes of the slot."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


def alive(process: psutil.Process) -> bool:
    """Whether a process runs and is not a zombie."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
