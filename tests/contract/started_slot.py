"""A cooperative slot that has started, seen from another process."""

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.polling import eventually, until


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie, which only its parent can remove."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def reap(pids: list[int]) -> None:
    """Reap those that are zombies and children of this process."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


class Slot:
    """A slot that has started; `seen` is what it found out about itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: dict[str, Any] = json.loads((directory / "seen.json").read_text())
        self.pid: int = self.seen["pid"]
        self.proof: str = self.seen["proof"]

    @property
    def is_running(self) -> bool:
        """Whether its process is running."""
        return is_running(self.pid)

    @property
    def arguments(self) -> bytes:
        """Its command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_bytes()

    @property
    def environment(self) -> bytes:
        """The environment it was started with."""
        return Path(f"/proc/{self.pid}/environ").read_bytes()

    def kill(self) -> None:
        """Kill it, and return as soon as it is dead, before the scheduler can have noticed."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not self.is_running, "the slot is dead")

    def give(self, order: str) -> None:
        """Give it an order."""
        with (self.directory / "orders").open("w") as orders:
            orders.write(f"{order}\n")

    async def carry_out(self, order: str) -> str:
        """Give it an order and wait until it is done."""
        done = self.directory / order.partition(" ")[0]
        self.give(order)
        await eventually(done.exists, f"the slot did {order!r}")
        return done.read_text()
