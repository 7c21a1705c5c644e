"""A slot that has begun, seen from outside."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.contract.deadline import DEADLINE_S, POLL_S, until


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie; how soon those go is init's affair."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def reap(pids: list[int]) -> None:
    """Leave no zombie of those that are children of this process."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class Slot:
    """A slot that has begun, seen from outside; `seen` is what it told of itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: dict[str, Any] = json.loads((directory / "seen.json").read_text())
        self.pid: int = self.seen["pid"]
        self.proof: str = self.seen["proof"]

    @property
    def runs(self) -> bool:
        """Whether its process has not ended."""
        return runs(self.pid)

    @property
    def arguments(self) -> bytes:
        """Its command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    @property
    def environment(self) -> bytes:
        """The environment it was started with."""
        return Path(f"/proc/{self.pid}/environ").read_bytes()

    def kill(self) -> None:
        """End it by SIGKILL, and return when it is dead but nobody could hear of it yet."""
        os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + DEADLINE_S
        while self.runs and time.monotonic() < deadline:
            time.sleep(POLL_S)

    def tell(self, order: str) -> None:
        """Give it an order."""
        with (self.directory / "orders").open("w") as orders:
            orders.write(f"{order}\n")

    async def obey(self, order: str) -> str:
        """Give it an order and wait until it has done so."""
        done = self.directory / order.partition(" ")[0]
        self.tell(order)
        await until(done.exists, f"the slot did {order!r}")
        return done.read_text()
