"""The log of a build: a file of limited size, and the last lines for the message of a failure."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_LOG: Final = 1024 * 1024
"""Bytes of a log; what comes after them is not kept."""
MOST_READ: Final = 64 * 1024
_LAST_LINES: Final = 8
_MOST_TAIL: Final = 1500
_ERRORS: Final = ("error:", "E: ")
"""How a message of uv begins, and one of apt-get."""


class BuildLog:
    """Writes what the steps of a build print; the file of an earlier build is replaced."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._room = MOST_LOG
        self._tail: deque[str] = deque(maxlen=_LAST_LINES)
        self._partial = b""

    def begin(self, step: str) -> None:
        """Begin a step, whose output the tail is then of; one without a name is not shown."""
        self._end_line()
        self._tail.clear()
        if step:
            self._write(f"=== {step}\n".encode())

    def add(self, data: bytes, *, shown: bool = True) -> None:
        """Write output of a step; what is not shown is for the tail only."""
        if shown:
            self._write(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-_MOST_TAIL:]
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text.startswith(_ERRORS):
                # What precedes it is progress: the message of a failure begins here.
                self._tail.clear()
            if text:
                self._tail.append(text)

    def tail(self) -> str:
        """Return the last lines of the step in one line."""
        lines = [*self._tail, self._partial.decode(errors="replace").strip()]
        return " ".join(line for line in lines if line)[-_MOST_TAIL:]

    def close(self) -> None:
        """Close the file."""
        self._end_line()
        os.close(self._descriptor)

    def _end_line(self) -> None:
        if self._partial:
            self.add(b"\n")

    def _write(self, data: bytes) -> None:
        kept, self._room = data[: self._room], max(0, self._room - len(data))
        while kept:
            kept = kept[os.write(self._descriptor, kept) :]


def read_log(path: Path, offset: int) -> bytes:
    """Return whole lines of a log from a byte on; a line that is being written is left out."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST_READ)
    except FileNotFoundError:
        return b""
    if len(data) == MOST_READ and b"\n" not in data:
        return data
    return data[: data.rfind(b"\n") + 1]
