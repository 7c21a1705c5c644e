"""`picloud jobs`."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cloud._client.current import client
from picloud_model.wire import ListRequest

from picloud import output
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire import ListedJob

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PORTION: Final = 1000


def jobs(
    *,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            "-s",
            metavar="STATUSES",
            help="Only jobs with these statuses: queued,processing.",
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", "-l", metavar="TEXT", help="Only jobs with this label.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="AGE", help="Only jobs created within this time: 30m, 12h or 7d."
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="JOBS", help="Most jobs to list.")
    ] = 20,
    before: Annotated[
        int | None,
        typer.Option("--before", min=1, metavar="JID", help="Only jobs older than this one."),
    ] = None,
    json: AsJson = False,
) -> None:
    """List your jobs, newest first.

    \b
    Examples:
      $ picloud jobs
      $ picloud jobs --status queued,processing -n 100
      $ picloud jobs --label "first job" --since 12h --json
    """  # noqa: D301 - \b keeps the lines apart
    request = ListRequest(
        statuses=[each.strip() for each in status.split(",")] if status else [],
        label=label,
        created_since=None if since is None else time.time() - _seconds(since),
        before=before,
    )
    listed = list(_listed(request, limit))
    if json:
        output.as_json([_fields(job) for job in listed])
        return
    columns = ("jid", "status", "function", "label", "created", "runtime")
    output.table(columns, [_row(job) for job in listed])


def _listed(request: ListRequest, limit: int) -> Iterator[ListedJob]:
    """Yield up to `limit` jobs; each request returns a portion."""
    before = request.before
    while limit:
        answer = client().listed(
            ListRequest(
                statuses=request.statuses,
                label=request.label,
                created_since=request.created_since,
                before=before,
                limit=min(limit, _PORTION),
            )
        )
        yield from answer.jobs
        limit -= len(answer.jobs)
        before = answer.more
        if before is None:
            return


def _fields(job: ListedJob) -> dict[str, object]:
    return {
        "jid": job.jid,
        "status": job.status,
        "function": job.function_name,
        "label": job.label,
        "created": job.created_at,
        "runtime": _runtime(job),
    }


def _row(job: ListedJob) -> tuple[object, ...]:
    created = datetime.fromtimestamp(job.created_at).astimezone()
    runtime = _runtime(job)
    return (
        job.jid,
        job.status,
        job.function_name,
        job.label or "",
        created.strftime("%Y-%m-%d %H:%M:%S"),
        "" if runtime is None else f"{runtime:.3f} s",
    )


def _runtime(job: ListedJob) -> float | None:
    if not job.started_at:
        return None
    return max(0.0, (job.finished_at or time.time()) - job.started_at)


def _seconds(age: str) -> float:
    matched = re.fullmatch(r"(\d+)([smhd])", age.strip())
    if matched is None:
        raise typer.BadParameter(
            f"{age!r} is not a time: write 30s, 30m, 12h or 7d.", param_hint="--since"
        )
    return int(matched[1]) * _UNITS[matched[2]]
