"""`cloud.usage` and `cloud.prices`: what jobs have run and cost, and what is to be paid for it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model.wire.price import PricesListed, PricesRequest
from picloud_model.wire.statement import day_of, known_since, month_of, statements
from picloud_model.wire.usage import (
    SHOWN_GROUPS,
    USAGE_GROUPS,
    JobUsage,
    JobUsageRequest,
    JobUsageRow,
    dollars,
)

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._http.transport import send_hint
from cloud._jobs.listing import moment_of
from cloud._resources.grant import GrantClient
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from picloud_model.wire.statement import GrantBalance

    from cloud._http.transport import Transport

_S_PER_HOUR = 3600


class GroupUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of a group have used.

    `group` is what they have in common: a label ("" for none), the name of a function, a day in UTC
    (2026-11-30), a core type, or the jids of a call or map. `jobs` is how many there are, `runtime`
    how many seconds they have run in all, `core_hours` the same in hours, counted for each core,
    and `cost` what that costs in dollars. Jobs of the core types in `unpriced` have no price. Of a
    month, `cost` is the sum of what is `free`, `granted` and `to_pay`; these are None in other
    groups.
    """

    group: str
    jobs: int
    runtime: float
    core_hours: float
    cost: float
    unpriced: tuple[str, ...] = ()
    free: float | None = None
    granted: float | None = None
    to_pay: float | None = None


class UsageTable(list[GroupUsage]):
    """Rows of usage, their sum, what is left of grants, and how notebooks show them."""

    total: GroupUsage
    grants: Sequence[GrantBalance]

    def __init__(
        self,
        rows: Iterable[GroupUsage],
        total: GroupUsage,
        grants: Sequence[GrantBalance] = (),
    ) -> None:
        super().__init__(rows)
        self.total = total
        self.grants = grants

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
                    **_of_month(row),
                }
                for row in (*self, self.total)
            ]
        )


@of_users
def prices(env: str | None = None) -> dict[str, float | None]:
    """Return what an hour of a core costs, in dollars, by core type.

    Args:
        env: The environment of the jobs, whose prices may differ.

    Returns:
        The prices for jobs that are created now; None for a core type without a price.

    Raises:
        CloudException: When no server can be reached.

    >>> cloud.prices()["f2"]
    0.22
    """
    return read_prices(client().transport, PricesRequest(env=env)).dollars_per_hour


def read_prices(transport: Transport, request: PricesRequest) -> PricesListed:
    """Return prices; an older server has the same in each environment."""
    return send_hint(lambda each: transport.post("/v1/prices", each, PricesListed), request, "env")


@of_users
def usage(since: Any = None, by: str = "label") -> UsageTable:
    """Return how long your jobs have run and what that costs, by the millisecond.

    A job belongs to the day on which it was created, and costs what its core type cost then. Jobs
    that run count so far; deleted ones count, too. Of a job that ran again because its slot was
    lost, the last attempt counts.

    Args:
        since: Only jobs that were created since then: a `datetime`, a `timedelta` or seconds before
            now; None for all jobs.
        by: What a row stands for: "label", "function", "day" (in UTC), "type" (the core type),
            "map" (a call or a map) or "month" (whole months, in UTC). Cron jobs and published
            functions have their label, if the job has no other.

    Returns:
        A list of rows with `group`, `jobs`, `runtime` in seconds, `core_hours`, `cost` in dollars
        and `unpriced`, the core types that have no price. Days, maps and months are in the order
        of time, other rows begin with the largest cost. The sum of all rows is in `total` of the
        list. Rows of months also have what is `free` and `granted` of the cost and what is left
        `to_pay`, and `grants` of the list says what is `left` of each `grant`.

    Raises:
        CloudException: When an argument is invalid.

    >>> cloud.join(cloud.map(abs, [-1, 2], _label="parts"))
    >>> [row.jobs for row in cloud.usage(since=3600) if row.group == "parts"]
    [2]
    """
    if by not in SHOWN_GROUPS:
        raise CloudValueError(f"by must be one of {', '.join(SHOWN_GROUPS)}, not {by!r:.80}.")
    since_at = moment_of(since, datetime.now(UTC))
    if by not in USAGE_GROUPS:
        return read_months(client().transport, since_at)
    return read_usage(client().transport, JobUsageRequest(by=by, since_at=since_at))


def _of_month(row: GroupUsage) -> dict[str, str]:
    """Return the cells that only months have."""
    if row.free is None or row.granted is None or row.to_pay is None:
        return {}
    cells = {"free ($)": row.free, "granted ($)": row.granted, "to pay ($)": row.to_pay}
    return {name: f"{dollars_:,.4f}" for name, dollars_ in cells.items()}


def read_months(transport: Transport, since_at: float | None) -> UsageTable:
    """Return the usage of months from that of a moment on, and what is left of grants."""
    listed = GrantClient(transport).list()
    first = "" if since_at is None else month_of(day_of(since_at))
    if first:
        since_at = known_since(first, listed.grants)
    rows = list(_rows(transport, JobUsageRequest(by="day", since_at=since_at)))
    found = statements(rows, listed.grants, listed.free)
    months: defaultdict[str, list[JobUsageRow]] = defaultdict(list)
    for row in rows:
        months[month_of(row.group)].append(row)
    shown = [each for each in found.months if each.month >= first]
    table = [
        msgspec.structs.replace(
            _sum(each.month, months[each.month]),
            free=each.free,
            granted=each.granted,
            to_pay=each.to_pay,
        )
        for each in shown
    ]
    total = msgspec.structs.replace(
        _sum("", [row for each in shown for row in months[each.month]]),
        free=sum(each.free for each in shown),
        granted=sum(each.granted for each in shown),
        to_pay=sum(each.to_pay for each in shown),
    )
    return UsageTable(table, total, found.grants)


def _rows(transport: Transport, request: JobUsageRequest) -> Iterator[JobUsageRow]:
    """Yield the rows of all answers to a request; a group may be in several of them."""
    while True:
        answer = transport.post("/v1/usage/jobs", request, JobUsage)
        yield from answer.rows
        if answer.more is None:
            return
        request = msgspec.structs.replace(request, before=answer.more)


def read_usage(transport: Transport, request: JobUsageRequest) -> UsageTable:
    """Return all rows of a request and their sum."""
    groups: dict[str, list[JobUsageRow]] = {}
    for row in _rows(transport, request):
        groups.setdefault(row.group, []).append(row)
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
