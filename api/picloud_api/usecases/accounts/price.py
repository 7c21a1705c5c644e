"""Prices: what an hour of a core costs, now and when earlier jobs were created."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import structlog
from picloud_model.core import CORE_TYPES, DEFAULT_FREE_HOURS, DEFAULT_PRICES
from picloud_model.wire.environment import OWN_BASES
from picloud_model.wire.price import PricesListed
from picloud_model.wire.usage import dollars

from picloud_api.store.records import NamedRecord, Record

if TYPE_CHECKING:
    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

_log = structlog.get_logger()


def _free_hours() -> dict[str, float]:
    return {**DEFAULT_FREE_HOURS}


class PriceList(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator charges: dollars for an hour of a core, by core type.

    `environments` has the prices that differ in some environments, by their full names; `free` the
    core hours by core type for which an account does not pay in a month.
    """

    dollars_per_hour: dict[str, float]
    environments: dict[str, dict[str, float]] = {}
    free: dict[str, float] = msgspec.field(default_factory=_free_hours)


class PriceChange(Record, frozen=True):
    """A list of prices, and from when on it applies."""

    since_at: float
    dollars_per_hour: dict[str, float]
    environments: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    free: dict[str, float] = msgspec.field(default_factory=_free_hours)

    @property
    def prices(self) -> PriceList:
        """The list."""
        return PriceList(
            dollars_per_hour=self.dollars_per_hour, environments=self.environments, free=self.free
        )

    def price(self, core_type: str, environment: str) -> float | None:
        """Return the price of a core in an environment, if it has one."""
        special = self.environments.get(environment, {}).get(core_type)
        return self.dollars_per_hour.get(core_type) if special is None else special


class PriceHistory(NamedRecord, frozen=True):
    """Every price list of a server, the oldest first, under the one key `prices/history`."""

    prefix: ClassVar[str] = "prices/"

    changes: list[PriceChange]

    def at(self, moment: float) -> PriceChange:
        """Return the prices of jobs that were created at a time."""
        found = bisect_right(self.changes, moment, key=lambda change: change.since_at)
        return self.changes[max(0, found - 1)]

    def price(self, core_type: str, environment: str, moment: float) -> float | None:
        """Return the price of a core for a job that was created at a time, if it has one.

        Args:
            core_type: The core type.
            environment: The full name of the job's environment, as `full_name` returns it.
            moment: When the job was created.
        """
        return self.at(moment).price(core_type, environment)


def cost(price: float | None, core_ms: int) -> float | None:
    """Return what some time on cores costs, in dollars, if they have a price."""
    return None if price is None else dollars([(price, core_ms)])


def full_name(account: str, environment: str | None) -> str:
    """Return how prices name the environment that the jobs of an account name in their options.

    >>> [full_name("a1", each) for each in (None, "base/debian", "numpy", "/a2/numpy")]
    ['', 'base/debian', '/a1/numpy', '/a2/numpy']
    """
    if environment is None or environment.startswith(("/", OWN_BASES)):
        return environment or ""
    return f"/{account}/{environment}"


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

    async def change(self, wanted: PriceList) -> None:
        """Let prices apply to jobs that are created from now on."""
        now = self._clock()

        async def plan(draft: Draft) -> None:
            history: PriceHistory = await draft.fresh(_KEY) or _DEFAULT
            if history.changes[-1].prices != wanted:
                since_at = max(now, history.changes[-1].since_at)
                change = PriceChange(
                    since_at, wanted.dollars_per_hour, wanted.environments, wanted.free
                )
                draft.put(_KEY, PriceHistory([*history.changes, change]))

        await self._commits.run(plan)
        for name in CORE_TYPES:
            if name not in wanted.dollars_per_hour:
                _log.warning("prices.missing", core_type=name)

    async def history(self) -> PriceHistory:
        """Return all prices; another process may have changed them."""
        history: PriceHistory | None = await self._commits.view.fresh(_KEY)
        return history or _DEFAULT

    async def list(
        self, account: str, environment: str | None = None, slots_of: str | None = None
    ) -> PricesListed:
        """Return the prices of now for every core type, and how many slots of one may run.

        Args:
            account: Whose jobs.
            environment: Where they run, as in their options.
            slots_of: The core type whose slots are counted.
        """
        slots = None if slots_of is None else await self._scheduler.capacity(slots_of)
        latest = (await self.history()).changes[-1]
        where = full_name(account, environment)
        prices = {name: latest.price(name, where) for name in CORE_TYPES}
        return PricesListed(dollars_per_hour=prices, since_at=latest.since_at, slots=slots)
