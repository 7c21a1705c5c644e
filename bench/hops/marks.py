"""Marks: moments that a process of the stack records, from outside the product's code.

All processes read one clock, `time.time`, which the product uses for its jobs, too; a mark costs
about 2 microseconds.
"""

from __future__ import annotations

import functools
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Mark(NamedTuple):
    """A named event and its time."""

    at: float
    name: str


class Marks:
    """A file of marks that any number of processes append to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def add(self, name: str, at: float | None = None) -> None:
        """Record an event that happens now, or happened at a given time."""
        if self._pid != os.getpid():
            self._open()  # children of a slot close what they were forked with
        os.write(self._file, f"{at or time.time()!r} {name}\n".encode())

    def _open(self) -> None:
        self._pid = os.getpid()
        self._file = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def around(self, owner: Any, method: str, name: Callable[..., str]) -> None:
        """Mark when a method starts and ends, as `<name>+` and `<name>-`."""
        inner = getattr(owner, method)

        @functools.wraps(inner)
        def marked(*args: Any, **kwargs: Any) -> Any:
            called = name(*args, **kwargs)
            self.add(f"{called}+")
            try:
                return inner(*args, **kwargs)
            finally:
                self.add(f"{called}-")

        setattr(owner, method, marked)

    def around_async(self, owner: Any, method: str, name: Callable[..., str]) -> None:
        """Do the same for a coroutine function."""
        inner = getattr(owner, method)

        @functools.wraps(inner)
        async def marked(*args: Any, **kwargs: Any) -> Any:
            called = name(*args, **kwargs)
            self.add(f"{called}+")
            try:
                return await inner(*args, **kwargs)
            finally:
                self.add(f"{called}-")

        setattr(owner, method, marked)


def read(path: Path) -> list[Mark]:
    """Return all marks, ordered by time."""
    lines = (line.split(" ", 1) for line in path.read_text(encoding="ascii").splitlines())
    return sorted(Mark(float(at), name) for at, name in lines)
