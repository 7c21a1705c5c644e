"""`cloud.estimate`: what a map would cost and how long it would take, from a few of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.wire.price import PricesRequest
from picloud_model.wire.usage import dollars, money

from cloud._arguments.iterables import check_iterables
from cloud._arguments.option_values import whole
from cloud._arguments.options import split_options
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._costs.usage import read_prices
from cloud._resources.budget import BudgetClient
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import Options

    from cloud._jobs.job import Jobs

SAMPLE: Final = 3
"""How many jobs run for an estimate."""
LABEL: Final = "estimate"
"""The label of these jobs, unless the user gives another one."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a map would cost and how long it would take. Its text is for people.

    `jobs` is how many jobs the map would have, and `sample` the jids of those that ran. These took
    `runtime` seconds on average, from `shortest` to `longest`. `cost` is the cost of the map in
    dollars, and `least_cost` and `most_cost` what it would be if all jobs took as long as the
    shortest or longest; None if there is no price for the core type. `slots` of its jobs can run at
    once if no other jobs run, and then all of them take `duration` seconds. `left` is how many
    dollars are left of the budget that such jobs reach first; None if they have none.
    """

    jobs: int
    sample: range
    runtime: float
    shortest: float
    longest: float
    cost: float | None
    least_cost: float | None
    most_cost: float | None
    slots: int
    duration: float
    left: float | None = None

    def __repr__(self) -> str:
        slots = f"{self.slots:,} slot{'s' * (self.slots != 1)}"
        return (
            f"{self.jobs:,} jobs: {self._of_cost()}, {_seconds(self.duration)} s on {slots}; "
            f"a job took {_seconds(self.runtime)} s ({_seconds(self.shortest)} to "
            f"{_seconds(self.longest)}) in a sample of {len(self.sample)}" + self._of_budget()
        )

    def _of_cost(self) -> str:
        if self.cost is None or self.least_cost is None or self.most_cost is None:
            return "no price"
        return f"{money(self.cost)} ({money(self.least_cost)} to {money(self.most_cost)})"

    def _of_budget(self) -> str:
        return "" if self.left is None else f"; {money(self.left)} of a budget is left"


@of_users
def estimate(func: Callable[..., Any], /, *iterables: Any, **kwargs: Any) -> Estimate:
    """Return what `cloud.map` with these arguments would cost, and how long it would take.

    A few of its jobs run for this: the first, the last, and some between them. They cost what jobs
    cost, and have the label "estimate" unless you give another one.

    Args:
        func: The function.
        iterables: Its arguments, as for `cloud.map`. Iterators are read to their end, so pass lists
            if you need the items again.
        kwargs: Keyword arguments for every job, and options as for `cloud.map`. `_sample` is how
            many jobs run, 3 by default.

    Returns:
        An `Estimate`: `cost`, `least_cost` and `most_cost` in dollars; `runtime`, `shortest` and
        `longest` of a job and `duration` of the map in seconds; `slots`, how many jobs can run at
        once; `jobs`, and the jids of the `sample`; `left`, the dollars that are left of a budget,
        or None. The time to start slots and to send arguments and results is not in it.

    Raises:
        CloudException: When the jobs cannot be sent, or the error of a job that failed.

    >>> estimate = cloud.estimate(pow, range(1000), range(1000))
    >>> estimate.jobs, len(estimate.sample), estimate.cost < 1
    (1000, 3, True)
    """
    size = whole(kwargs.pop("_sample", SAMPLE))
    if size is None or size < 1:
        raise CloudTypeError("_sample must be a whole number from 1: how many jobs run.")
    check_iterables(iterables, "estimate")
    columns = [each if isinstance(each, Sequence) else list(each) for each in iterables]
    count = max(map(len, columns), default=0)
    if not count:
        raise CloudValueError("There is nothing to estimate: no iterable has an item.")
    at = spread(count, size)
    rows = [[column[i] if i < len(column) else None for i in at] for column in columns]
    kwargs.setdefault("_label", LABEL)
    jobs = client().map(func, *rows, **kwargs)
    return from_sample(jobs, count, split_options(kwargs)[0].options)


def _seconds(time: float) -> str:
    """Return seconds with three digits that mean something.

    >>> [_seconds(each) for each in (0.0, 0.00001234, 0.0671, 33.71, 12345.6)]
    ['0', '0.000012', '0.0671', '33.7', '12,346']
    """
    if time >= 100:  # noqa: PLR2004 - where three digits are the whole seconds
        return f"{time:,.0f}"
    return f"{time:.3g}" if time == 0 or time >= 0.0001 else f"{time:.6f}"  # noqa: PLR2004


def spread(count: int, size: int) -> list[int]:
    """Return at most `size` of `count` positions, from the first to the last.

    >>> spread(1000, 3), spread(2, 3), spread(9, 1)
    ([0, 500, 999], [0, 1], [0])
    """
    if size >= count:
        return list(range(count))
    return [round(number * (count - 1) / max(1, size - 1)) for number in range(size)]


def from_sample(sample: Jobs, count: int, options: Options) -> Estimate:
    """Wait for the jobs of a sample; return what `count` such jobs would cost and take.

    Raises:
        CloudException: The error of a job that failed.
    """
    client().join(sample.range)
    infos = client().info(sample.range, "runtime").values()
    runtimes = [info["runtime"] or 0.0 for info in infos]
    request = PricesRequest(core_type=options.core_type, env=options.env)
    answer = read_prices(client().transport, request)
    price = answer.dollars_per_hour.get(options.core_type)

    def cost(runtime: float) -> float | None:
        ms = round(runtime * 1000 * options.cores * count)
        return None if price is None else dollars([(price, ms)])

    # The sample ran, so there is a slot of its size.
    slots = max(1, min(count, (answer.slots or 0) // options.cores))
    mean = sum(runtimes) / len(runtimes)
    return Estimate(
        jobs=count,
        sample=sample.range,
        runtime=mean,
        shortest=min(runtimes),
        longest=max(runtimes),
        cost=cost(mean),
        least_cost=cost(min(runtimes)),
        most_cost=cost(max(runtimes)),
        slots=slots,
        duration=ceil(count / slots) * mean,
        left=_left(options),
    )


def _left(options: Options) -> float | None:
    """Return how much is left of the budget that jobs reach first; one that only warns counts."""
    budgets = BudgetClient(client().transport).list()
    counting = [each.left for each in budgets if each.label in (None, options.label)]
    return min(counting, default=None)
