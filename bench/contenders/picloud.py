"""This project, on each of its stacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.contenders.contender import Contender, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

_LARGE = 16_000_000
"""The largest argument in bytes: the shared one has 8 MiB."""


def spread(count: int) -> int:
    """Map a few small jobs from within a job."""
    import cloud

    from bench.work import increased

    return len(cloud.result(cloud.map(increased, range(count))))


class PiCloud(Contender):
    """A server of its own in a directory of its own, reached as any user's program reaches it.

    Args:
        slots: Jobs at once.
    """

    has: ClassVar[frozenset[str]] = frozenset({"calls", "executor", "joblib", "queues", "services"})
    stack: ClassVar[str]

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.home = Path()
        self._queues: tuple[Any, Any] | None = None

    def start(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="picloud-bench-"))
        self._serve()

        import cloud

        cloud.config.max_transmit_data = _LARGE
        self.cloud = cloud

    @abstractmethod
    def _serve(self) -> None:
        """Start the server, and set its address in the environment or a profile."""

    def submit(self, function: Callable[..., Any], argument: Any) -> Any:
        return self.cloud.call(function, argument)

    def gather(self, submitted: Sequence[Any]) -> list[Any]:
        results: list[Any] = self.cloud.result(submitted)
        return results

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self.cloud.result(self.cloud.call(function, argument))

    def chain(self, function: Callable[..., Any], steps: int) -> Any:
        job = self.cloud.call(function, 0)
        for _ in range(steps - 1):
            job = self.cloud.call(function, job.value)
        return self.cloud.result(job)

    def nest(self, outer: int, inner: int) -> int:
        return sum(self.map(spread, [inner] * outer))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        results: list[Any] = self.cloud.result(self.cloud.map(function, arguments))
        return results

    def pass_messages(self, messages: Sequence[Any]) -> list[Any]:
        from bench.queues import nothing

        if self._queues is None:
            source, target = (self.cloud.queue.get(name) for name in ("bench", "bench-out"))
            source.attach(nothing, target)
            self._queues = source, target
        source, target = self._queues
        source.push(messages)
        arrived: list[Any] = []
        while len(arrived) < len(messages):
            arrived += target.pop(1000, timeout=60)
        return arrived

    def executor(self) -> AbstractContextManager[Any]:
        executor: AbstractContextManager[Any] = self.cloud.Executor()
        return executor

    def joblib_backend(self) -> AbstractContextManager[Any]:
        import joblib

        self.cloud.register_joblib()
        backend: AbstractContextManager[Any] = joblib.parallel_config("picloud", n_jobs=self.slots)
        return backend

    def publish(self, function: Callable[[], Any]) -> Service:
        url = self.cloud.rest.publish(function, "nothing", warm=self.slots)
        _, name, secret = os.environ["PICLOUD_API_KEY"].split("_", 2)
        return Service(url, f"{name}:{secret}")

    def stop(self) -> None:
        if "cloud" in sys.modules:
            sys.modules["cloud"].close()
        shutil.rmtree(self.home, ignore_errors=True)

    def server_pids(self) -> list[int]:
        """Return the processes of the API: those that serve, and gunicorn's master."""
        return self._running("picloud_api", str(self.home / "data"))

    def slot_pids(self) -> list[int]:
        """Return every process of every slot: supervisor, zygote, children."""
        return self._running("picloud_worker", os.environ["PICLOUD_URL"])

    @staticmethod
    def _running(module: str, argument: str) -> list[int]:
        import psutil

        return [
            each.pid for each in psutil.process_iter() if {module, argument} <= set(_line(each))
        ]


class Embedded(PiCloud):
    """The embedded stack: SQLite, files, slots as processes."""

    stack = "embedded"
    synchronous: ClassVar[str] = "NORMAL"

    def _serve(self) -> None:
        from cloud._client.local_server import LocalServer

        chosen = {"--data": self.home / "data", "--port": 0, "--slots": self.slots}
        chosen |= {"--synchronous": self.synchronous}
        arguments = [str(part) for pair in chosen.items() for part in pair]
        self._server = LocalServer.start(arguments, self.home / "server.log")
        os.environ["PICLOUD_URL"] = self._server.ready.url
        os.environ["PICLOUD_API_KEY"] = self._server.ready.key

    def stop(self) -> None:
        if hasattr(self, "_server"):
            self._server.stop()
        super().stop()


class EmbeddedFull(Embedded):
    """The same, with every commit on the disk before it is acknowledged: survives power loss."""

    synchronous = "FULL"


class HashiCorp(PiCloud):
    """Real Nomad, Consul (on disk), Vault and S3 on loopback, by `picloud up`."""

    stack = "hashicorp"

    def _serve(self) -> None:
        os.environ["PICLOUD_CONFIG_DIR"] = str(self.home / "config")
        for name in ("PICLOUD_URL", "PICLOUD_API_KEY"):  # of an earlier server in this process
            os.environ.pop(name, None)
        chosen = {"--stack": self.stack, "--port": 0, "--workers": self.slots}
        self._picloud("up", "--detach", *(str(part) for pair in chosen.items() for part in pair))

        from cloud._client.current import client

        server = client().address
        os.environ["PICLOUD_URL"], os.environ["PICLOUD_API_KEY"] = server.url, server.key

    def _picloud(self, *arguments: str) -> None:
        command = [Path(sys.executable).with_name("picloud"), *arguments]
        where = ["--data", str(self.home / "data")]
        done = subprocess.run([*command, *where], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr or done.stdout)

    def stop(self) -> None:
        self._picloud("down")
        super().stop()


def _line(process: Any) -> list[str]:
    import psutil

    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
