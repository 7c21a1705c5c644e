"""Progress bars: in the last line of a terminal, and in notebooks as text below a cell."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from picloud_model.job import Status

from cloud._config.settings import ClientSettings

if TYPE_CHECKING:
    from typing import TextIO

_FAILED: Final = (Status.ERROR, Status.KILLED, Status.STALLED)
_NOTEBOOK: Final = "ZMQInteractiveShell"
_CELLS: Final = 30
_FEWEST_CELLS: Final = 10
_COLUMNS: Final = 80
"""Width of a terminal that does not tell its own."""
_MINUTE_S: Final = 60
_FULL, _EMPTY = "█", "░"
_ERASE: Final = "\r\x1b[2K"
"""Moves to the first column and erases the line."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a wait is.

    `statuses` counts the jobs by status, as far as that is known; `elapsed_s` is since the wait
    began, and `left_s` until its end, if that can be estimated.
    """

    ended: int
    total: int
    statuses: Mapping[str, int]
    elapsed_s: float
    left_s: float | None

    def text(self) -> str:
        """Return the numbers of jobs, and the times.

        >>> Progress(
        ...     ended=5, total=9, statuses={"processing": 2}, elapsed_s=4, left_s=61
        ... ).text()
        '5/9  2 processing  0:04, 1:01 left'
        """
        failed = sum(self.statuses.get(status, 0) for status in _FAILED)
        named, left = dict[str, int](), self.total - self.ended
        for status in (Status.PROCESSING, Status.QUEUED, Status.WAITING):
            # More jobs may have ended since they were counted.
            named[status] = min(left, self.statuses.get(status, 0))
            left -= named[status]
        named["failed"] = failed
        states = ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
        times = _clock(self.elapsed_s)
        if self.left_s is not None:
            times += f", {_clock(self.left_s)} left"
        parts = (f"{self.ended:,}/{self.total:,}", states, times)
        return "  ".join(filter(None, parts))

    def line(self, columns: int | None = None) -> str:
        """Return the bar and the text, at most as wide as a terminal.

        >>> Progress(ended=5, total=10, statuses={}, elapsed_s=4, left_s=None).line(30)
        '████████░░░░░░░░░  5/10  0:04'
        """
        return drawn(self.ended / max(1, self.total), self.text(), columns)


class Line(Protocol):
    """What a bar shows."""

    def line(self, columns: int | None = None) -> str:
        """Return the bar and its text, at most as wide as a terminal."""


def drawn(share: float, text: str, columns: int | None) -> str:
    """Return a bar of which a share is filled, with a text, at most as wide as a terminal.

    >>> drawn(0.5, "1 of 2", 80), drawn(0.5, "a long text", 20)
    ('███████████████░░░░░░░░░░░░░░░  1 of 2', '█████░░░░░  a long…')
    """
    cells = _CELLS
    if columns is not None:
        cells = min(_CELLS, max(_FEWEST_CELLS, columns - len(text) - 3))
    filled = int(cells * min(1.0, share))
    line = f"{_FULL * filled}{_EMPTY * (cells - filled)}  {text}"
    # A terminal that is written to in its last column may begin a new line.
    return line if columns is None or len(line) < columns else f"{line[: columns - 2]}…"


class Bar(Protocol):
    """Shows a progress until it is hidden; shown again, it continues."""

    def show(self, progress: Line) -> None:
        """Show a progress."""

    def pause(self) -> None:
        """Make way for what the program prints, until the next `show`."""

    def hide(self) -> None:
        """Leave no trace of it."""


def bar() -> Bar | None:
    """Return a bar for this process; None in pipes."""
    shell = sys.modules.get("IPython")
    running: Any = shell and shell.get_ipython()
    if type(running).__name__ == _NOTEBOOK:
        return NotebookBar()
    stream = sys.stderr
    if stream is None or not stream.isatty() or ClientSettings.read().dumb_terminal:
        return None
    return TerminalBar(stream)


class TerminalBar:
    """A bar in the line of a terminal that the cursor is in.

    Args:
        stream: Standard error; a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""

    def show(self, progress: Line) -> None:
        """Show a progress; nothing is written if it looks as before."""
        line = progress.line(self._columns())
        if line != self._line:
            self._line = line
            # What another thread prints, or a warning, begins in the first column.
            self._write(f"{_ERASE}{line}\r")

    def pause(self) -> None:
        """Erase the line: what the program prints must not follow it."""
        self.hide()

    def hide(self) -> None:
        """Leave no trace of it."""
        if self._line:
            self._line = ""
            self._write(_ERASE)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        except (OSError, ValueError):
            return _COLUMNS

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "ascii"
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = text.translate({ord(_FULL): "#", ord(_EMPTY): ".", ord("…"): "~"})
        self._stream.write(text)
        self._stream.flush()


class NotebookBar:
    """A bar as a line of text below a cell."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._line = ""

    def show(self, progress: Line) -> None:
        """Show a progress; nothing is sent if it looks as before."""
        line = progress.line()
        if line == self._line:
            return
        self._line = line
        data = {"text/plain": line}
        if self._handle is None:
            from IPython import display  # noqa: PLC0415 - only notebooks have it

            show: Any = display.display
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def pause(self) -> None:
        """Stay: what the program prints has an area of its own."""

    def hide(self) -> None:
        """Leave an empty line."""
        self._line = ""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)


def _clock(seconds: float) -> str:
    """Return a duration as minutes and seconds.

    >>> _clock(3661)
    '61:01'
    """
    minutes, rest = divmod(int(seconds), _MINUTE_S)
    return f"{minutes}:{rest:02}"
