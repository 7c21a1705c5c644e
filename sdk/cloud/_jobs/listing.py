"""Listing the jobs of an account: a row for each call and map."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.job import Status
from picloud_model.ranges import format_jids

from cloud._arguments.option_values import whole
from cloud._packing.packer import name_of
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cloud._http.transport import Transport

_PAGE: Final = 1000
_Page = TypeVar("_Page", wire.BatchesRequest, wire.ListRequest)
_Listed = TypeVar("_Listed")


class SubmittedJobs(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs that one call or map made.

    `jids` is a range, which every function of `cloud` takes. `function` is the name of their
    function, or a shell command. `statuses` counts the jobs by status. `started` is when the first
    job began, `finished` when the last one ended; None if that has not happened.
    """

    jids: range
    function: str
    label: str | None
    statuses: dict[str, int]
    created: datetime
    started: datetime | None
    finished: datetime | None

    def __repr__(self) -> str:
        from cloud._display.job_row import counted  # noqa: PLC0415 - few scripts show rows

        label = f" {self.label!r}" if self.label else ""
        shown = f"{format_jids(self.jids)} {self.function}{label}: {counted(self.statuses)}"
        return f"<{shown}, {self.created:%Y-%m-%d %H:%M:%S} UTC>"


class ListedJobs(list[SubmittedJobs]):
    """A list that notebooks show as a table."""

    def _repr_html_(self) -> str:
        from cloud._display.job_row import counted, job_table  # noqa: PLC0415 - for notebooks only

        return job_table(
            [
                {
                    "jids": format_jids(row.jids),
                    "status": counted(row.statuses),
                    "function": row.function,
                    "label": row.label,
                    "created (UTC)": f"{row.created:%Y-%m-%d %H:%M:%S}",
                }
                for row in self
            ]
        )


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs a user wants to see, as `cloud.jobs` takes it; None for all."""

    label: str | None = None
    status: Any = None
    since: Any = None
    function: Any = None
    env: str | None = None
    parent: int | str | None = None
    text: str | None = None

    def request(self, now: datetime) -> wire.BatchesRequest:
        """Return the request for them.

        Raises:
            CloudException: When a value is invalid.
        """
        for name in ("label", "env", "text"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise CloudTypeError(f"{name} must be text, not {value!r:.80}.")
        if self.parent is not None and not isinstance(self.parent, int | str):
            raise CloudTypeError(f"parent must be a jid or text, not {self.parent!r:.80}.")
        return wire.BatchesRequest(
            statuses=_statuses(self.status),
            label=self.label,
            function=_function(self.function),
            env=self.env,
            parent=None if self.parent is None else str(self.parent),
            text=self.text,
            created_since=moment_of(self.since, now),
        )


def read_jobs(transport: Transport, wanted: JobFilter, limit: int) -> ListedJobs:
    """Return calls and maps, newest first, at most `limit` of them.

    Raises:
        CloudException: When the limit or a value of the filter is invalid.
    """
    most = whole(limit)
    if most is None or most < 1:
        raise CloudTypeError(f"limit must be a whole number from 1, not {limit!r:.80}.")

    def fetch(page: wire.BatchesRequest) -> tuple[Sequence[wire.ListedBatch], int | None]:
        answer = transport.post("/v1/jobs/batches", page, wire.BatchesListed)
        return answer.batches, answer.more

    return ListedJobs(map(_row, paged(fetch, wanted.request(datetime.now(UTC)), most)))


def paged(
    fetch: Callable[[_Page], tuple[Sequence[_Listed], int | None]], request: _Page, limit: int
) -> Iterator[_Listed]:
    """Yield up to `limit` rows of a list, newest first.

    Args:
        fetch: Returns the rows of a page, and the jid before which the next page begins; None at
            the end of the list.
        request: The request for the list; each page has its own `before` and `limit`.
        limit: Most rows.
    """
    before = request.before
    while limit:
        rows, before = fetch(
            msgspec.structs.replace(request, before=before, limit=min(_PAGE, limit))
        )
        yield from rows
        limit -= len(rows)
        if before is None:
            return


def _row(batch: wire.ListedBatch) -> SubmittedJobs:
    return SubmittedJobs(
        jids=batch.jids,
        function=batch.function_name,
        label=batch.label,
        statuses=batch.statuses,
        created=datetime.fromtimestamp(batch.created_at, UTC),
        started=_moment(batch.started_at),
        finished=_moment(batch.finished_at),
    )


def _moment(at: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None


def _statuses(status: object) -> list[str]:
    if status is None:
        return []
    names = [status] if isinstance(status, str) else status
    known = [each.value for each in Status]
    listed: list[Any] = list(names) if isinstance(names, Iterable) else [names]
    if wrong := [name for name in listed if name not in known]:
        raise CloudValueError(f"status must be one of {', '.join(known)}, not {wrong[0]!r:.80}.")
    return listed


def _function(function: object) -> str | None:
    if function is None or isinstance(function, str):
        return function
    if not callable(function):
        raise CloudTypeError(f"function must be a function or its name, not {function!r:.80}.")
    return name_of(function)


def moment_of(since: object, now: datetime) -> float | None:
    """Return a moment in seconds since the epoch.

    >>> moment_of(60, datetime.fromtimestamp(100, UTC))
    40.0
    """
    if since is None:
        return None
    if isinstance(since, datetime):
        return since.timestamp()
    if isinstance(since, timedelta):
        return (now - since).timestamp()
    if isinstance(since, Real) and not isinstance(since, bool) and float(since) >= 0:
        return now.timestamp() - float(since)
    raise CloudTypeError(
        f"since must be a datetime, a timedelta or seconds from now, not {since!r:.80}."
    )
