"""Contenders: the same few verbs over the project and over each peer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Contender(ABC):
    """Something that runs functions elsewhere, on two slots."""

    @abstractmethod
    def start(self) -> None:
        """Make it ready to take work; slots may still be cold."""

    @abstractmethod
    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        """Run one call and wait for its result."""

    @abstractmethod
    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        """Run one call an argument and wait for all results, in order."""

    @abstractmethod
    def stop(self) -> None:
        """End everything it started."""

    def server_pids(self) -> list[int]:
        """Processes that hold queued work apart from the client; none for a library."""
        return []


class Embedded(Contender):
    """This project's embedded stack, owned by the measuring process."""

    def start(self) -> None:
        import cloud

        cloud.config.max_transmit_data = 16_000_000
        cloud.start_simulator()
        self._cloud = cloud

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._cloud.result(self._cloud.call(function, argument))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        found: list[Any] = self._cloud.result(self._cloud.map(function, arguments))
        return found

    def stop(self) -> None:
        self._cloud.close()

    def server_pids(self) -> list[int]:
        import psutil

        return [
            process.pid
            for process in psutil.Process().children(recursive=True)
            if "picloud_api" in " ".join(process.cmdline())
        ]


class HashiCorp(Contender):
    """This project's HashiCorp stack: real Nomad, Consul, Vault and S3 on loopback, by `up`."""

    def start(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="picloud-bench-"))
        os.environ["PICLOUD_CONFIG_DIR"] = str(self._home / "config")
        self._picloud("up", "--stack", "hashicorp", "--detach", "--port", "0")

        import cloud

        cloud.config.max_transmit_data = 16_000_000
        self._cloud = cloud

    def _picloud(self, *arguments: str) -> None:
        command = [Path(sys.executable).with_name("picloud"), *arguments]
        where = ["--data", str(self._home / "data")]
        subprocess.run([*command, *where], check=True, stdout=subprocess.DEVNULL)

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._cloud.result(self._cloud.call(function, argument))

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        found: list[Any] = self._cloud.result(self._cloud.map(function, arguments))
        return found

    def stop(self) -> None:
        self._cloud.close()
        self._picloud("down")
        shutil.rmtree(self._home, ignore_errors=True)

    def server_pids(self) -> list[int]:
        import psutil

        return [
            process.pid
            for process in psutil.process_iter()
            if {"picloud_api", str(self._home / "data")} <= set(process.cmdline())
        ]


class Loky(Contender):
    """joblib's process pool: no server, no durability; the floor for two processes and a pipe."""

    def start(self) -> None:
        from loky import get_reusable_executor

        self._executor = get_reusable_executor(max_workers=2)

    def call(self, function: Callable[..., Any], argument: Any) -> Any:
        return self._executor.submit(function, argument).result()

    def map(self, function: Callable[..., Any], arguments: Sequence[Any]) -> list[Any]:
        futures = [self._executor.submit(function, argument) for argument in arguments]
        return [future.result() for future in futures]

    def stop(self) -> None:
        self._executor.shutdown(wait=True)


CONTENDERS: dict[str, type[Contender]] = {
    "embedded": Embedded,
    "hashicorp": HashiCorp,
    "loky": Loky,
}
"""Every contender by the name the table shows."""
