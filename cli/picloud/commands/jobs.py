"""`picloud jobs`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from cloud._client.current import client
from cloud._jobs.listing import paged
from picloud_model.wire import BatchesRequest, ListRequest

from picloud import batches, output, tables, units
from picloud.completion import jobs as completion
from picloud.completion import values
from picloud.completion.environments import environments
from picloud.options import arguments
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.wire import ListedBatch, ListedJob

_COLUMNS: Final = tables.Columns(
    ("jid", "status", "function", "label", "created", "runtime"),
    flexible=("function", "label"),
    optional=("created", "label", "runtime"),
)


_Statuses = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUSES",
        help="Only jobs with these statuses: queued,processing.",
        autocompletion=values.statuses,
    ),
]
_Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        "-l",
        metavar="TEXT",
        help="Only jobs with this label.",
        autocompletion=completion.labels,
    ),
]
_Function = Annotated[
    str | None,
    typer.Option(
        "--function",
        metavar="NAME",
        help="Only jobs of this function, as the list shows it; not with --each.",
    ),
]
_Env = Annotated[
    str | None,
    typer.Option(
        "--env",
        metavar="NAME",
        help="Only jobs that run in this environment; not with --each.",
        autocompletion=environments,
    ),
]
_Parent = Annotated[
    str | None,
    typer.Option(
        "--parent",
        metavar="TEXT",
        help="Only jobs that this made: a jid, 'cron LABEL' or 'rest LABEL'; not with --each.",
    ),
]
_Text = Annotated[
    str | None,
    typer.Option(
        "--text",
        metavar="TEXT",
        help="Only jobs with this text in function or label; not with --each.",
    ),
]
_Since = Annotated[
    str | None,
    typer.Option("--since", metavar="AGE", help="Only jobs created within: 30m, 12h or 7d."),
]


def jobs(
    *,
    status: _Statuses = None,
    label: _Label = None,
    function: _Function = None,
    env: _Env = None,
    parent: _Parent = None,
    text: _Text = None,
    since: _Since = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="ROWS", help="Maximum number of rows.")
    ] = 20,
    before: Annotated[
        int | None,
        typer.Option("--before", min=1, metavar="JID", help="Only jobs older than this one."),
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="Show a row for each job of a map.")] = False,
    json: AsJson = False,
) -> None:
    """List your calls and maps, newest first, a row for each.

    The row of a map has the jids of its jobs and how many of them have which status.

    \b
    Examples:
      $ picloud jobs
      $ picloud jobs --status queued,processing -n 100
      $ picloud jobs --label "first job" --since 12h --json
      $ picloud jobs --each --status error
    """  # noqa: D301 - \b keeps the lines apart
    request = BatchesRequest(
        statuses=arguments.statuses(status, "--status") if status else [],
        label=label,
        function=function,
        env=env,
        parent=parent,
        text=text,
        created_since=None if since is None else time.time() - arguments.age(since, "--since"),
        before=before,
    )
    chosen = {"--function": function, "--env": env, "--parent": parent, "--text": text}
    for option, value in chosen.items():
        if each and value is not None:
            raise typer.BadParameter("cannot be combined with --each.", param_hint=option)
    listed = _read_jobs(request, limit) if each else _read_batches(request, limit)
    if json:
        output.as_json(listed.fields)
    else:
        _print(listed)


class _Listed(msgspec.Struct, frozen=True):
    """What a list shows: as JSON, as rows, and the newest jid that it leaves out; 0 for none."""

    fields: list[dict[str, object]]
    rows: list[tuple[object, ...]]
    older: int


def _read_batches(request: BatchesRequest, limit: int) -> _Listed:
    found = list(batches.read(request, limit + 1))
    shown, left = found[:limit], found[limit:]
    return _Listed(
        list(map(batches.fields, shown)), list(map(_row, shown)), left[0].jids[-1] if left else 0
    )


def _read_jobs(request: BatchesRequest, limit: int) -> _Listed:
    found = list(
        _jobs(
            ListRequest(
                statuses=request.statuses,
                label=request.label,
                created_since=request.created_since,
                before=request.before,
            ),
            limit + 1,
        )
    )
    shown, left = found[:limit], found[limit:]
    return _Listed(
        list(map(_fields, shown)), list(map(_row_of_job, shown)), left[0].jid if left else 0
    )


def _print(listed: _Listed) -> None:
    tables.show(_COLUMNS, listed.rows, empty="No jobs.")
    if listed.older:
        output.hint(f"There are older jobs: use --before {listed.older + 1}, or -n for more rows.")


def _jobs(request: ListRequest, limit: int) -> Iterator[ListedJob]:
    """Yield up to `limit` jobs, newest first; each request returns a page."""

    def fetch(page: ListRequest) -> tuple[Sequence[ListedJob], int | None]:
        answer = client().listed(page)
        return answer.jobs, answer.more

    return paged(fetch, request, limit)


def _fields(job: ListedJob) -> dict[str, object]:
    return {
        "jid": job.jid,
        "status": job.status,
        "function": job.function_name,
        "label": job.label,
        "created": units.iso(job.created_at),
        "runtime": batches.runtime(job.started_at, job.finished_at),
    }


def _row_of_job(job: ListedJob) -> tuple[object, ...]:
    return (
        job.jid,
        job.status,
        job.function_name,
        job.label or "",
        units.moment(job.created_at, time.time()),
        batches.shown_runtime(batches.runtime(job.started_at, job.finished_at)),
    )


def _row(batch: ListedBatch) -> tuple[object, ...]:
    return (
        batches.shown_jids(batch),
        batches.shown_status(batch),
        batch.function_name,
        batch.label or "",
        units.moment(batch.created_at, time.time()),
        batches.shown_runtime(batches.runtime(batch.started_at, batch.finished_at)),
    )
