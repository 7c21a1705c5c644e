"""Progress bars: on terminals by rich, if that is installed, and in notebooks as text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from picloud_model.job import Status

_FAILED = (Status.ERROR, Status.KILLED, Status.STALLED)
_NOTEBOOK = "ZMQInteractiveShell"
_CELLS = 30
_MINUTE_S = 60


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

    def counts(self) -> str:
        """Return the numbers of jobs in text.

        >>> Progress(
        ...     ended=5, total=9, statuses={"processing": 2}, elapsed_s=4, left_s=61
        ... ).counts()
        '5/9  2 processing  0:04, 1:01 left'
        """
        failed = sum(self.statuses.get(status, 0) for status in _FAILED)
        named = {
            "processing": self.statuses.get(Status.PROCESSING, 0),
            "queued": self.statuses.get(Status.QUEUED, 0),
            "waiting": self.statuses.get(Status.WAITING, 0),
            "failed": failed,
        }
        states = ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
        left = "" if self.left_s is None else f", {_clock(self.left_s)} left"
        parts = (f"{self.ended:,}/{self.total:,}", states, f"{_clock(self.elapsed_s)}{left}")
        return "  ".join(filter(None, parts))


class Bar(Protocol):
    """Shows a progress until it is hidden; shown again, it continues."""

    def show(self, progress: Progress) -> None:
        """Show a progress."""

    def hide(self) -> None:
        """Leave no trace of it."""


def bar() -> Bar | None:
    """Return a bar for this process; None in pipes, or if rich is missing."""
    shell = sys.modules.get("IPython")
    running: Any = shell and shell.get_ipython()
    if type(running).__name__ == _NOTEBOOK:
        return NotebookBar()
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        import rich  # noqa: F401, PLC0415 - only terminals need it
    except ImportError:
        return None
    return TerminalBar()


class TerminalBar:
    """A bar in the last line of a terminal, on standard error."""

    def __init__(self) -> None:
        self._live: Any = None

    def show(self, progress: Progress) -> None:
        """Show a progress."""
        from rich.console import Console  # noqa: PLC0415 - as above
        from rich.live import Live  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        if self._live is None:
            console = Console(file=sys.stderr)
            self._live = Live(
                console=console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        row = Table.grid(padding=(0, 2))
        row.add_row(
            ProgressBar(total=progress.total, completed=progress.ended, width=_CELLS),
            Text(progress.counts(), overflow="ellipsis", no_wrap=True),
        )
        self._live.update(row, refresh=True)

    def hide(self) -> None:
        """Leave no trace of it."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()


class NotebookBar:
    """A bar as a line of text below a cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, progress: Progress) -> None:
        """Show a progress."""
        from IPython import display  # noqa: PLC0415 - as above

        filled = _CELLS * progress.ended // max(1, progress.total)
        line = f"{'█' * filled}{'░' * (_CELLS - filled)}  {progress.counts()}"
        data = {"text/plain": line}
        if self._handle is None:
            show: Any = display.display
            self._handle = show(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)

    def hide(self) -> None:
        """Leave an empty line."""
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)


def _clock(seconds: float) -> str:
    """Return a duration as minutes and seconds.

    >>> _clock(3661)
    '61:01'
    """
    minutes, rest = divmod(int(seconds), _MINUTE_S)
    return f"{minutes}:{rest:02}"
