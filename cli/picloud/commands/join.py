"""`picloud join`."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloud.functions import client

from picloud.reading import Jids, Timeout
from picloud.reading import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def join(jids: Jids, timeout: Timeout = None) -> None:
    """Wait until jobs have ended.

    \b
    Exits with 3 when a job failed, with 4 when the time is over.
    \b
    Examples:
      $ picloud join 7
      $ picloud join 7,9-12 --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    asked = read_jids(jids)
    with _progress(len(asked)) as on_progress:
        client().join(asked, timeout, on_progress=on_progress)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, where that is a terminal and there is more than one job."""
    if total == 1 or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals wait for rich
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda ended, _: bar.update(task, completed=ended)
