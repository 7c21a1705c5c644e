"""`picloud top`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from cloud import CloudException
from cloud._client.current import client
from picloud_model.info import InfoKey
from picloud_model.job import State, Status
from picloud_model.size import size
from picloud_model.wire import BatchesRequest, ListRequest

from picloud import batches, tables, units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.wire import ListedBatch, ListedJob

_NONE: Final = "No unfinished jobs."
_COLUMNS: Final = tables.Columns(
    ("jid", "status", "function", "label", "since", "cpu", "memory"),
    flexible=("function", "label"),
    optional=("label", "memory", "cpu", "since"),
)
_UNFINISHED: Final = sorted({state.shown.value for state in State if not state.final})
_OTHER_LINES: Final = 6
"""Lines of the terminal that are not rows: the summary, headers, a rule and what follows them."""
_PIPED: Final = 100
_MOST_BATCHES: Final = 1000


def top(
    every: Annotated[
        float, typer.Option("--every", min=0.2, metavar="SECONDS", help="Refresh interval.")
    ] = 2.0,
) -> None:
    """Show what runs and what waits, until Ctrl-C.

    Running jobs come first, then there is a row for each map. The column since is the time for
    which a job has been running, or waiting if it has not started. In a pipe the table is printed
    once.

    \b
    Examples:
      $ picloud top
      $ picloud top --every 10
    """  # noqa: D301 - \b keeps the lines apart
    if not sys.stdout.isatty():
        rows = read(_PIPED, time.time())[1]
        tables.show(_COLUMNS, rows, empty=_NONE)
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals need rich
    from rich.live import Live  # noqa: PLC0415

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            _follow(lambda shown: live.update(shown, refresh=True), console, every)
        except KeyboardInterrupt:
            return


def page(width: int, height: int, now: float) -> Any:
    """Return what a terminal of this size shows, for rich to print."""
    from rich.console import Group  # noqa: PLC0415 - only terminals need rich

    summary, rows, cut = read(max(1, height - _OTHER_LINES), now)
    if not rows:
        return _NONE
    return Group(summary, "", tables.fitted(_COLUMNS, rows, width), cut)


def read(most: int, now: float) -> tuple[str, list[Sequence[object]], str]:
    """Return a line that sums up, at most so many rows, and a line about those that are cut.

    The running jobs that began first come first, at most half of the rows; then calls and maps with
    unfinished jobs, the oldest first, as slots take them in this order.
    """
    answer = client().batches(BatchesRequest(statuses=_UNFINISHED, limit=_MOST_BATCHES))
    running = client().listed(ListRequest(statuses=[Status.PROCESSING.value], limit=_MOST_BATCHES))
    jobs = sorted(running.jobs, key=lambda job: (job.started_at, job.jid))
    single = {job.jid for job in jobs}
    waiting = [
        batch for batch in reversed(answer.batches) if batch.count > 1 or batch.first not in single
    ]
    jobs_shown = jobs[: max(most - len(waiting), most // 2)]
    waiting_shown = waiting[: most - len(jobs_shown)]
    use = _use([job.jid for job in jobs_shown])
    rows: list[Sequence[object]] = [
        _row_of_job(job, use.get(job.jid, {}), now) for job in jobs_shown
    ]
    rows += [_row(batch, now) for batch in waiting_shown]
    parts = []
    if left := len(jobs) - len(jobs_shown):
        parts.append(f"{left:,} more running {'job' if left == 1 else 'jobs'}")
    if left := len(waiting) - len(waiting_shown):
        parts.append(f"{left:,} more {'call or map' if left == 1 else 'calls and maps'}")
    older = ", and older ones" if answer.more else ""
    cut = f"and {' and '.join(parts)}{older}" if parts else ""
    return _summary(answer.batches, answer.slots), rows, cut


def _summary(unfinished: Sequence[ListedBatch], slots: int) -> str:
    counts = {
        name: sum(batch.statuses.get(name, 0) for batch in unfinished)
        for name in (Status.PROCESSING.value, Status.QUEUED.value, Status.WAITING.value)
    }
    shown = [f"{count:,} {name}" for name, count in counts.items() if count]
    return ", ".join([*shown, f"{slots:,} {'slot' if slots == 1 else 'slots'}"])


def _use(jids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the CPU and memory of running jobs; a job that ended meanwhile has none."""
    if not jids:
        return {}
    try:
        return client().info(jids, [InfoKey.CPU_PERCENTAGE.value, InfoKey.MEMORY_USAGE.value])
    except CloudException:  # one of them was deleted since it was listed
        return {}


def _row_of_job(job: ListedJob, use: dict[str, Any], now: float) -> tuple[object, ...]:
    cpu, memory = use.get(InfoKey.CPU_PERCENTAGE.value), use.get(InfoKey.MEMORY_USAGE.value)
    return (
        job.jid,
        job.status,
        job.function_name,
        job.label or "",
        units.since(now - (job.started_at or job.created_at)),
        "" if cpu is None else f"{cpu:.0f} %",
        "" if memory is None else size(memory),
    )


def _row(batch: ListedBatch, now: float) -> tuple[object, ...]:
    return (
        batches.shown_jids(batch),
        batches.shown_status(batch),
        batch.function_name,
        batch.label or "",
        units.since(now - (batch.started_at or batch.created_at)),
        "",
        "",
    )


def _follow(show: Callable[[Any], None], console: Any, every: float) -> None:
    while True:
        show(page(console.width, console.size.height, time.time()))
        time.sleep(every)
