"""What is remembered of processes in a data directory, so that they are found again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, TypeVar

import msgspec

from picloud_driver import disk
from picloud_driver.scheduler.local_process import Process
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_T = TypeVar("_T")


class Record(msgspec.Struct, frozen=True):
    """A server's process and ports; `birth` tells it from a later process of its pid.

    Pid 0 is none: the ports are kept for the next start. They are `settled` once it was ready on
    them; until then, it may lose them to whoever took one at the same moment.
    """

    pid: int = 0
    birth: str = ""
    ports: dict[str, int] = {}
    settled: bool = False

    def process(self) -> Process | None:
        """The process, if it still runs."""
        found = Process.find(self.pid, self.birth) if self.pid > 0 else None
        if found and not found.alive():
            found.close()
            return None
        return found

    def lives(self) -> bool:
        """Whether it still runs."""
        found = self.process()
        if found:
            found.close()
        return found is not None


def read(path: Path, kind: type[_T], advice: str) -> _T | None:
    """A record; None where there is no file.

    Args:
        path: Where it lies.
        kind: What it is.
        advice: What to do when it cannot be read, for the end of a sentence.

    Raises:
        StackFault: When it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StackFault(f"{path} cannot be read: {error.strerror}; {advice}.") from error
    except msgspec.DecodeError as error:
        raise StackFault(f"{path} is damaged: {advice}.") from error


def write(path: Path, record: msgspec.Struct) -> None:
    """Write a record that only this user may read; a crash leaves the old one or the new."""
    with told(path):
        disk.private_directory(path.parent)
        # Some are keys that are shown once, to us.
        disk.replace(path, msgspec.json.encode(record), sync=True)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn faults of the disk inside the block into a sentence."""
    try:
        yield
    except OSError as fault:
        raise StackFault(disk.refusal(fault, path).message) from fault


@contextlib.contextmanager
def held(data: Path) -> Iterator[None]:
    """Let nobody else start or end the stack of a data directory; waits until nobody does."""
    with told(data):
        disk.private_directory(data)
        opened = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, disk.PRIVATE_FILE)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
