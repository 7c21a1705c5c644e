"""Job usage: how long jobs have run and what they cost, from the pages that hold their states.

Nothing is written for it while jobs run, and pages stay when jobs are deleted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.ranges import format_jids
from picloud_model.wire.realtime import RESERVED
from picloud_model.wire.statement import day_of
from picloud_model.wire.usage import JobUsage, JobUsageRequest, JobUsageRow

from picloud_api.engine.jobs.recent_pages import RecentPages
from picloud_api.engine.process.reservation import reservations
from picloud_api.store import layout
from picloud_api.usecases.accounts.price import full_name

if TYPE_CHECKING:
    from picloud_model.page import Page
    from picloud_model.wire.usage import UsageGroup

    from picloud_api.engine.jobs.recent_pages import PagePlace
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.reservation import ReservationRecord
    from picloud_api.store.records import Header
    from picloud_api.usecases.accounts.price import PriceHistory, Prices

_DAY_S: Final = 86_400
READ_JOBS: Final = 100_000
"""The most jobs that one request reads; the client asks again for older ones."""
_OF_A_PAGE: Final = 20
"""What reading a page counts besides its jobs: 5,000 calls are one request, too."""


class JobUsages:
    """Adds up what the jobs of accounts have used."""

    def __init__(self, context: Context, prices: Prices) -> None:
        self._view = context.commits.view
        self._recent = RecentPages(context)
        self._turns = context.turns
        self._clock = context.clock
        self._prices = prices

    async def read(self, account: str, request: JobUsageRequest) -> JobUsage:
        """Return what some jobs have used, the newest first; deleted ones count."""
        tally = _Tally(account, request.by, await self._prices.history(), self._clock())
        if request.before is None:
            for record in await reservations(self._view, account):
                if record.started_at is not None and record.started_at >= (request.since_at or 0.0):
                    tally.reserve(record, record.started_at)
        next_jid = await self._view.fresh(layout.next_jid(account)) or 1
        top = min(request.before or next_jid, next_jid) - 1
        read = 0
        async with self._turns.of(account) as turn:
            async for places in self._recent.places(account, top, request.since_at or 0.0):
                pages = await self._recent.pages([place.page_id for place in places])
                for place, page in zip(places, pages, strict=True):
                    read += _OF_A_PAGE
                    if page is not None:
                        tally.add(place, page, min(len(page), top - place.base + 1))
                        read += len(page)
                    await turn.pause()
                if read >= READ_JOBS and places[-1].base > 1:
                    return tally.usage(places[-1].base)
        return tally.usage()

    async def recent(self, account: str, days: int, by: UsageGroup) -> JobUsage:
        """Return what the jobs of the last days have used, as far as one request reads."""
        since_at = max(0.0, self._clock() - days * _DAY_S)
        return await self.read(account, JobUsageRequest(by=by, since_at=since_at))


class _Used(msgspec.Struct):
    """What the jobs of one row have used so far."""

    jobs: int = 0
    runtime_ms: int = 0
    core_ms: int = 0


class _Tally:
    """The rows of an answer, while they are added up."""

    def __init__(
        self, account: str, by: UsageGroup | None, prices: PriceHistory, now: float
    ) -> None:
        self._account = account
        self._by = by
        self._prices = prices
        self._now = now
        self._used: defaultdict[tuple[str, str, float | None], _Used] = defaultdict(_Used)

    def add(self, place: PagePlace, page: Page, count: int) -> None:
        """Add the first `count` jobs of a page."""
        header = place.header
        options = header.options
        where = full_name(self._account, options.env)
        price = self._prices.price(options.core_type, where, header.created_at)
        used = self._used[_group(self._by, header), options.core_type, price]
        runtime_ms = sum(page.runtime_ms(index, self._now) for index in range(count))
        used.jobs += count
        used.runtime_ms += runtime_ms
        used.core_ms += runtime_ms * options.cores

    def reserve(self, record: ReservationRecord, started_at: float) -> None:
        """Add a reservation: it has no jobs, but costs what its cores cost."""
        where = full_name(self._account, record.env)
        price = self._prices.price(record.core_type, where, started_at)
        match self._by:
            case "day":
                group = day_of(started_at)
            case "type":
                group = record.core_type
            case None:
                group = ""
            case _:
                group = RESERVED
        self._used[group, record.core_type, price].core_ms += record.core_ms(self._now)

    def usage(self, more: int | None = None) -> JobUsage:
        """Return the answer."""
        rows = [
            JobUsageRow(
                group=group,
                core_type=core_type,
                dollars_per_hour=price,
                jobs=used.jobs,
                runtime_ms=used.runtime_ms,
                core_ms=used.core_ms,
            )
            for (group, core_type, price), used in self._used.items()
        ]
        return JobUsage(rows=rows, more=more)


def _group(by: UsageGroup | None, header: Header) -> str:
    match by:
        case "label":
            return header.options.label or ""
        case "function":
            return header.function_name
        case "day":
            return day_of(header.created_at)
        case "type":
            return header.options.core_type
        case "map":
            return format_jids(range(header.first, header.first + header.count))
        case None:
            return ""
