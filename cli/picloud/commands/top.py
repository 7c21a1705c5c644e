"""`picloud top`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from cloud._client.current import client
from picloud_model.job import State
from picloud_model.wire import ListRequest

from picloud import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import ListedJob

_COLUMNS: Final = ("jid", "status", "since", "label", "function")
_UNFINISHED: Final = sorted({state.shown.value for state in State if not state.final})
_HEAD_LINES: Final = 4
"""Lines of the terminal that show no job: headers and the rule below them."""
_PIPED: Final = 100


def top(
    every: Annotated[
        float, typer.Option("--every", "-n", min=0.2, metavar="SECONDS", help="Refresh interval.")
    ] = 2.0,
) -> None:
    """Show your unfinished jobs, newest first, until Ctrl-C.

    The column since is the time for which a job has been running, or waiting if it has not started.
    In a pipe the table is printed once.

    \b
    Examples:
      $ picloud top
      $ picloud top --every 10
    """  # noqa: D301 - \b keeps the lines apart
    if not sys.stdout.isatty():
        output.table(_COLUMNS, rows(_PIPED, time.time()))
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals need rich
    from rich.live import Live  # noqa: PLC0415

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            _follow(lambda shown: live.update(shown, refresh=True), console, every)
        except KeyboardInterrupt:
            return


def rows(most: int, now: float) -> list[tuple[object, ...]]:
    """Return a row for each of the newest unfinished jobs."""
    listed = client().listed(ListRequest(statuses=_UNFINISHED, limit=most))
    return [_row(job, now) for job in listed.jobs]


def since(seconds: float) -> str:
    """Return a short text for a time span.

    >>> since(7.2), since(125), since(7300), since(200_000)
    ('7s', '2m 5s', '2h 1m', '2d 7h')
    """
    whole = max(0, int(seconds))
    for unit, size, small, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller}{small}"
    return f"{whole // 60}m {whole % 60}s" if whole >= 60 else f"{whole}s"  # noqa: PLR2004


def _row(job: ListedJob, now: float) -> tuple[object, ...]:
    began = job.started_at or job.created_at
    return job.jid, job.status, since(now - began), job.label or "", job.function_name


def _follow(show: Callable[[Any], None], console: Any, every: float) -> None:
    while True:
        shown = rows(max(1, console.size.height - _HEAD_LINES), time.time())
        show(output.rich_table(_COLUMNS, shown) if shown else "No unfinished jobs.")
        time.sleep(every)
