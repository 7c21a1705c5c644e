"""`cloud.usage` and `cloud.prices`: what jobs have run and cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model.wire.price import PricesListed, PricesRequest
from picloud_model.wire.usage import (
    USAGE_GROUPS,
    JobUsage,
    JobUsageRequest,
    JobUsageRow,
    dollars,
)

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._jobs.listing import moment_of
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloud._http.transport import Transport

_S_PER_HOUR = 3600


class GroupUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of a group have used.

    `group` is what they have in common: a label ("" for none), the name of a function, a day in UTC
    (2026-11-30), a core type, or the jids of a call or map. `jobs` is how many there are, `runtime`
    how many seconds they have run in all, `core_hours` the same in hours, counted for each core,
    and `cost` what that costs in dollars. Jobs of the core types in `unpriced` have no price.
    """

    group: str
    jobs: int
    runtime: float
    core_hours: float
    cost: float
    unpriced: tuple[str, ...] = ()


class UsageTable(list[GroupUsage]):
    """Rows of usage, their sum, and how notebooks show them."""

    total: GroupUsage

    def __init__(self, rows: Iterable[GroupUsage], total: GroupUsage) -> None:
        super().__init__(rows)
        self.total = total

    def _repr_html_(self) -> str:
        from cloud._display.job_row import job_table  # noqa: PLC0415 - for notebooks only

        return job_table(
            [
                {
                    "group": row.group,
                    "jobs": f"{row.jobs:,}",
                    "runtime (s)": f"{row.runtime:,.3f}",
                    "core hours": f"{row.core_hours:,.4f}",
                    "cost ($)": f"{row.cost:,.4f}",
                }
                for row in (*self, self.total)
            ]
        )


@of_users
def prices() -> dict[str, float | None]:
    """Return what an hour of a core costs, in dollars, by core type.

    Returns:
        The prices for jobs that are created now; None for a core type without a price.

    Raises:
        CloudException: When no server can be reached.

    >>> cloud.prices()["f2"]
    0.22
    """
    return client().transport.post("/v1/prices", PricesRequest(), PricesListed).dollars_per_hour


@of_users
def usage(since: Any = None, by: str = "label") -> UsageTable:
    """Return how long your jobs have run and what that costs, by the millisecond.

    A job belongs to the day on which it was created, and costs what its core type cost then. Jobs
    that run count so far; deleted ones count, too. Of a job that ran again because its slot was
    lost, the last attempt counts.

    Args:
        since: Only jobs that were created since then: a `datetime`, a `timedelta` or seconds before
            now; None for all jobs.
        by: What a row stands for: "label", "function", "day" (in UTC), "type" (the core type) or
            "map" (a call or a map). Cron jobs and published functions have their label, if the
            job has no other.

    Returns:
        A list of rows with `group`, `jobs`, `runtime` in seconds, `core_hours`, `cost` in dollars
        and `unpriced`, the core types that have no price. Days and maps are in the order of time,
        other rows begin with the largest cost. The sum of all rows is in `total` of the list.

    Raises:
        CloudException: When an argument is invalid.

    >>> cloud.join(cloud.map(abs, [-1, 2], _label="parts"))
    >>> [row.jobs for row in cloud.usage(since=3600) if row.group == "parts"]
    [2]
    """
    if by not in USAGE_GROUPS:
        raise CloudValueError(f"by must be one of {', '.join(USAGE_GROUPS)}, not {by!r:.80}.")
    since_at = moment_of(since, datetime.now(UTC))
    return read_usage(client().transport, JobUsageRequest(by=by, since_at=since_at))


def read_usage(transport: Transport, request: JobUsageRequest) -> UsageTable:
    """Return all rows of a request and their sum."""
    groups: dict[str, list[JobUsageRow]] = {}
    while True:
        answer = transport.post("/v1/usage/jobs", request, JobUsage)
        for row in answer.rows:
            groups.setdefault(row.group, []).append(row)
        if answer.more is None:
            break
        request = msgspec.structs.replace(request, before=answer.more)
    rows = [_sum(group, parts) for group, parts in groups.items()]
    if request.by == "day":
        rows.sort(key=lambda row: row.group)
    elif request.by == "map":
        rows.reverse()
    else:
        rows.sort(key=lambda row: (-row.cost, -row.runtime, row.group))
    return UsageTable(rows, _sum("", [row for parts in groups.values() for row in parts]))


def _sum(group: str, parts: Sequence[JobUsageRow]) -> GroupUsage:
    """Return the sum of some rows of the server's; nothing is rounded before it."""
    priced = [
        (row.dollars_per_hour, row.core_ms) for row in parts if row.dollars_per_hour is not None
    ]
    unpriced = {row.core_type for row in parts if row.dollars_per_hour is None and row.core_ms}
    return GroupUsage(
        group=group,
        jobs=sum(row.jobs for row in parts),
        runtime=sum(row.runtime_ms for row in parts) / 1000,
        core_hours=sum(row.core_ms for row in parts) / (1000 * _S_PER_HOUR),
        cost=dollars(priced),
        unpriced=tuple(sorted(unpriced)),
    )
