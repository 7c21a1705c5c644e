"""Prices: what an hour of a core costs, now and when earlier jobs were created."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, Final

import structlog
from picloud_model.core import CORE_TYPES, DEFAULT_PRICES
from picloud_model.wire.price import PricesListed
from picloud_model.wire.usage import dollars

from picloud_api.store.records import NamedRecord, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

_log = structlog.get_logger()


class PriceChange(Record, frozen=True):
    """Prices by core type, and from when on they apply."""

    since_at: float
    dollars_per_hour: dict[str, float]


class PriceHistory(NamedRecord, frozen=True):
    """Every price list of a server, the oldest first, under the one key `prices/history`."""

    prefix: ClassVar[str] = "prices/"

    changes: list[PriceChange]

    def at(self, moment: float) -> PriceChange:
        """Return the prices of jobs that were created at a time."""
        found = bisect_right(self.changes, moment, key=lambda change: change.since_at)
        return self.changes[max(0, found - 1)]

    def price(self, core_type: str, moment: float) -> float | None:
        """Return the price of a core for a job that was created at a time, if it has one."""
        return self.at(moment).dollars_per_hour.get(core_type)

    def cost(self, core_type: str, moment: float, core_ms: int) -> float | None:
        """Return what some time on cores costs a job that was created at a time, in dollars."""
        price = self.price(core_type, moment)
        return None if price is None else dollars([(price, core_ms)])


_KEY: Final = f"{PriceHistory.prefix}history"
_DEFAULT: Final = PriceHistory([PriceChange(0.0, DEFAULT_PRICES)])


class Prices:
    """Keeps the prices of a server.

    A job costs what its core type cost when the job was created, so an operator who changes prices
    changes nothing that has been charged.
    """

    def __init__(self, context: Context, scheduler: SchedulerPort) -> None:
        self._scheduler = scheduler
        self._commits = context.commits
        self._clock = context.clock

    async def change(self, dollars_per_hour: Mapping[str, float]) -> None:
        """Let prices apply to jobs that are created from now on."""
        wanted, now = dict(dollars_per_hour), self._clock()

        async def plan(draft: Draft) -> None:
            history: PriceHistory = await draft.fresh(_KEY) or _DEFAULT
            if history.changes[-1].dollars_per_hour != wanted:
                since_at = max(now, history.changes[-1].since_at)
                changes = [*history.changes, PriceChange(since_at, wanted)]
                draft.put(_KEY, PriceHistory(changes))

        await self._commits.run(plan)
        for name in CORE_TYPES:
            if name not in wanted:
                _log.warning("prices.missing", core_type=name)

    async def history(self) -> PriceHistory:
        """Return all prices; another process may have changed them."""
        history: PriceHistory | None = await self._commits.view.fresh(_KEY)
        return history or _DEFAULT

    async def list(self, slots_of: str | None = None) -> PricesListed:
        """Return the prices of now for every core type, and how many slots of one may run."""
        slots = None if slots_of is None else await self._scheduler.capacity(slots_of)
        latest = (await self.history()).changes[-1]
        prices = {name: latest.dollars_per_hour.get(name) for name in CORE_TYPES}
        return PricesListed(dollars_per_hour=prices, since_at=latest.since_at, slots=slots)
