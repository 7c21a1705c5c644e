"""Spending: what the jobs of an account have cost for each of its budgets, in memory.

It is read from the pages that hold the states of jobs, once, and then only from those that have
changed. Nothing is written for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec
from picloud_model.job import UNDER_LEASE
from picloud_model.wire.budget import BudgetAction, BudgetPeriod
from picloud_model.wire.usage import dollars

from picloud_api.engine.jobs.recent_pages import RecentPages
from picloud_api.engine.process.reservation import ReservationRecord, reservations
from picloud_api.store import layout
from picloud_api.store.layout import PageId
from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.price import full_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.page import Page

    from picloud_api.engine.jobs.recent_pages import PagePlace
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.records import Header
    from picloud_api.usecases.accounts.price import PriceHistory, Prices

_DAY_S: Final = 86_400
_AT_ONCE: Final = 64
"""Pages that are read together."""
_REST: Final = 20
"""How long it is not read again, in times of how long that took."""


class BudgetRecord(NamedRecord, frozen=True, kw_only=True):
    """A budget, under the key `budgets/<account>/<digest>`; `since_at` is when it was first set."""

    prefix: ClassVar[str] = "budgets/"

    dollars: float
    period: BudgetPeriod
    action: BudgetAction
    label: str | None
    is_cap: bool
    since_at: float

    def begin(self, moment: float) -> float:
        """Return when the period began that a moment is in.

        >>> def begin(period, moment):
        ...     record = BudgetRecord(
        ...         dollars=1, period=period, action="warn", label=None, is_cap=False, since_at=5
        ...     )
        ...     return record.begin(moment)
        >>> begin("day", 86_400 * 40 + 7), begin("month", 86_400 * 40 + 7), begin("total", 9)
        (3456000, 2678400.0, 5)
        """
        if self.period == "day":
            return moment // _DAY_S * _DAY_S
        if self.period == "month":
            first = datetime.fromtimestamp(moment, UTC).replace(day=1)
            return first.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        return self.since_at

    def counts(self, header: Header) -> bool:
        """Whether the jobs of a batch count."""
        if self.label is not None and self.label != header.options.label:
            return False
        return self.period != "total" or header.created_at >= self.since_at

    def counts_from(self, moment: float | None, begin: float) -> bool:
        """Whether something that began at a moment, or has not begun, counts for a period."""
        if moment is None or (self.period == "total" and moment < self.since_at):
            return False
        return self.begin(moment) == begin


class _Period(NamedTuple):
    """One period of a budget, by the budget's key and when the period began."""

    key: str
    begin: float


class _PageSum(msgspec.Struct):
    """What is known of a page that is not closed: of which state, and what its jobs have run."""

    mark: tuple[int, int, int] | None = None
    ended_ms: int = 0
    started: list[float] = []


class _OpenBatch(msgspec.Struct):
    """A batch with unfinished jobs, and what its jobs count for."""

    first: int
    count: int
    periods: list[_Period]
    price: float | None
    cores: int
    pages: dict[int, _PageSum]


class Spending:
    """Knows what the jobs of one account have cost, by its budgets.

    Args:
        context: The store, and what has changed in it.
        prices: What jobs cost.
        account: The account.
        budgets: Its budgets by their keys; for others another object is made.
    """

    def __init__(
        self, context: Context, prices: Prices, account: str, budgets: Mapping[str, BudgetRecord]
    ) -> None:
        self._view = context.commits.view
        self._changes = context.account_changes
        self._turns = context.turns
        self._clock = context.clock
        self._prices = prices
        self._recent = RecentPages(context, cached=True)
        self._warm = context.warm_slots
        self._account = account
        self.budgets = budgets
        self._known: int
        """The last jid whose batch was looked at."""
        self._open: dict[str, _OpenBatch]
        self._running: set[str]
        """The batches of which jobs run."""
        self._open_periods: Counter[_Period]
        """For how many batches with unfinished jobs each period counts."""
        self._ended: dict[_Period, defaultdict[float, int]]
        """Milliseconds of jobs that have ended, by what an hour costs."""
        self._reserved: Sequence[tuple[ReservationRecord, float | None]]
        """What the account has reserved, whenever that was, and what an hour of a core costs."""
        self._active: frozenset[str] | None
        """The keys of those that were held when they were last read."""
        self.is_read: bool
        """Whether everything has been read once."""
        self._forget()
        self._reading = asyncio.Lock()
        self._rests_until = 0.0

    async def read(self, *, at_once: bool = False) -> None:
        """Read what has changed, unless that took long a short while ago.

        Args:
            at_once: Whether to do it in any case.
        """
        loop = asyncio.get_running_loop()
        async with self._reading:
            begun_at = loop.time()
            if begun_at < self._rests_until and not at_once:
                return
            changed = self._changes.take(self._account)
            known = [*self._open] if changed is None else [*(changed & {*self._open})]
            try:
                async with self._turns.of(self._account) as turn:
                    await self._read_new(turn)
                    page_ids = [
                        PageId(self._account, name, number)
                        for name in known
                        for number in self._open[name].pages
                    ]
                    await self._read_pages(page_ids, turn)
                await self._read_reserved()
            except BaseException:
                # Some of it was counted: the next time all of it is read anew.
                self._forget()
                raise
            self.is_read = True
            self._rests_until = loop.time() + _REST * (loop.time() - begun_at)

    def _forget(self) -> None:
        self._known = 0
        self._open, self._running = {}, set()
        self._open_periods = Counter()
        self._ended = {}
        self._reserved, self._active = (), None
        self.is_read = False

    def spent(self, key: str, begin: float | None = None) -> float:
        """Return what has been spent of a budget, in dollars.

        Args:
            key: The key of the budget.
            begin: When the period began; None for the current one.
        """
        now = self._clock()
        period = _Period(key, self.budgets[key].begin(now) if begin is None else begin)
        times = dict(self._ended.get(period, {}))
        for name in self._running:
            batch = self._open[name]
            if batch.price is not None and period in batch.periods:
                ran_ms = sum(_ran_ms(page, now) for page in batch.pages.values())
                times[batch.price] = times.get(batch.price, 0) + ran_ms * batch.cores
        for record, price in self._reserved if self.budgets[key].label is None else ():
            if price is not None and self.budgets[key].counts_from(record.started_at, period.begin):
                times[price] = times.get(price, 0) + record.core_ms(now)
        return dollars(times.items())

    @property
    def stops_reservations(self) -> bool:
        """Whether a budget that kills is reached, and reservations go on."""
        now = self._clock()
        return any(record.is_active(now) for record, _ in self._reserved) and any(
            budget.label is None and budget.action == "kill" and self.spent(key) >= budget.dollars
            for key, budget in self.budgets.items()
        )

    def overdrawn(self) -> dict[str, tuple[int, int]]:
        """Return the first and last jids of the unfinished batches that a budget kills, by name."""
        periods = {
            period
            for period in self._open_periods
            if self.budgets[period.key].action == "kill"
            and self.spent(*period) >= self.budgets[period.key].dollars
        }
        if not periods:
            return {}
        return {
            name: (batch.first, batch.first + batch.count - 1)
            for name, batch in self._open.items()
            if not periods.isdisjoint(batch.periods)
        }

    def _price(self, prices: PriceHistory, record: ReservationRecord) -> float | None:
        at = record.started_at or record.requested_at
        return prices.price(record.core_type, full_name(self._account, record.env), at)

    async def _read_reserved(self) -> None:
        """Read the reservations again if there are others than the last time."""
        own = f"{ReservationRecord.prefix}{self._account}/"
        active = {key: each for key, each in self._warm.reservations.items() if key.startswith(own)}
        started = frozenset(key for key, each in active.items() if each.started_at is not None)
        if started == self._active:
            return
        prices = await self._prices.history()
        self._reserved = [
            (each, self._price(prices, each))
            for each in await reservations(self._view, self._account)
        ]
        self._active = started

    async def _read_new(self, turn: Turn) -> None:
        """Read the batches that were made since the last time."""
        top = (await self._view.fresh(layout.next_jid(self._account)) or 1) - 1
        if top <= self._known:
            return
        prices = await self._prices.history()
        since_at = 0.0 if self.is_read else await self._oldest()
        async for places in self._recent.places(self._account, top, since_at, self._known):
            counted = [place.page_id for place in places if self._add(place, prices)]
            await self._read_pages(counted, turn)
        self._known = top

    def _add(self, place: PagePlace, prices: PriceHistory) -> bool:
        """Take in one page; return whether its jobs count for a budget."""
        header, name = place.header, place.page_id.batch
        batch = self._open.get(name)
        if batch is None:
            at = header.created_at
            periods = [
                _Period(key, budget.begin(at))
                for key, budget in self.budgets.items()
                if budget.counts(header)
            ]
            if not periods:
                return False
            options = header.options
            price = prices.price(options.core_type, full_name(self._account, options.env), at)
            batch = self._open[name] = _OpenBatch(
                first=header.first,
                count=header.count,
                periods=periods,
                price=price,
                cores=options.cores,
                pages={},
            )
            self._open_periods.update(periods)
        batch.pages.setdefault(place.page_id.page, _PageSum())
        return True

    async def _oldest(self) -> float:
        """Return since when the jobs were created that count for a period which is not over.

        A period is not over before its jobs have ended.
        """
        moments = [self._clock()]
        unfinished = await self._view.scan(layout.ready(self._account))
        if unfinished:
            oldest = min(unfinished, key=lambda key: unfinished[key].first)
            name = oldest.removeprefix(layout.ready(self._account))
            header: Header | None = await self._view.get(layout.header(self._account, name))
            if header is not None:
                moments.append(header.created_at)
        return min(budget.begin(at) for budget in self.budgets.values() for at in moments)

    async def _read_pages(self, page_ids: Sequence[PageId], turn: Turn) -> None:
        for start in range(0, len(page_ids), _AT_ONCE):
            some = page_ids[start : start + _AT_ONCE]
            for page_id, page in zip(some, await self._recent.pages(some), strict=True):
                self._count(page_id, page)
                await turn.pause()
        for name in {page_id.batch for page_id in page_ids}:
            batch = self._open[name]
            if any(page.started for page in batch.pages.values()):
                self._running.add(name)
            else:
                self._running.discard(name)
            if not batch.pages:
                del self._open[name]
                self._open_periods.subtract(batch.periods)
                self._open_periods += Counter()  # without those of no batch

    def _count(self, page_id: PageId, page: Page | None) -> None:
        """Count what the jobs of a page have run since the last time."""
        batch = self._open[page_id.batch]
        known = batch.pages[page_id.page]
        if page is None:
            del batch.pages[page_id.page]
            return
        mark = (page.packs, hash(bytes(page.state)), hash(page.attempt.tobytes()))
        if mark == known.mark:
            return
        known.mark = mark
        known.started = [
            page.started[index]
            for index, state in enumerate(page.state if page.leased else b"")
            if state in UNDER_LEASE and page.started[index]
        ]
        ended_ms = sum(page.runtime_ms(index, 0.0) for index, at in enumerate(page.finished) if at)
        if batch.price is not None:
            for period in batch.periods:
                times = self._ended.setdefault(period, defaultdict(int))
                times[batch.price] += (ended_ms - known.ended_ms) * batch.cores
        known.ended_ms = ended_ms
        if not page.open:
            del batch.pages[page_id.page]


def _ran_ms(page: _PageSum, now: float) -> int:
    """Return how long the jobs of a page that run have done so, in milliseconds."""
    return sum(round(max(0.0, now - started) * 1000) for started in page.started)
