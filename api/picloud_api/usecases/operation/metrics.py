"""Metrics: numbers about the whole server, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.core import CORE_TYPES
from picloud_model.job import State

from picloud_api.store import layout
from picloud_api.store.queue_record import QueueRecord
from picloud_api.store.records import Ready
from picloud_api.usecases.accounts.account import check_administrator
from picloud_api.usecases.accounts.price import cost, full_name

if TYPE_CHECKING:
    from picloud_driver.queue import QueuePort
    from picloud_driver.scheduler import Pool

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.run_times import PhaseTimes
    from picloud_api.engine.process.turns import Turn
    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.accounts.price import Prices

MOST_QUEUES: Final = 1000
"""The most queues whose messages are counted."""
_PAGES_AT_ONCE: Final = 64
_RUNNABLE: Final = (State.QUEUED, State.LEASED, State.PROCESSING, State.RETRYING)
"""The states of jobs that have a core, or would have one if there were enough."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number, or one for each value of a label."""

    name: str
    help: str
    values: Mapping[str, float]
    label: str = ""
    kind: str = "gauge"

    def text(self) -> str:
        r"""Return the metric in the text format.

        >>> print(Metric(name="jobs", help="Jobs.", label="state", values={"done": 2}).text())
        # HELP jobs Jobs.
        # TYPE jobs gauge
        jobs{state="done"} 2
        """
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        for value, number in self.values.items():
            label = f'{{{self.label}="{value}"}}' if self.label else ""
            lines.append(f"{self.name}{label} {number}")
        return "\n".join(lines)


def phases_text(times: PhaseTimes) -> str:
    """Return the histograms of the phases of jobs in the text format."""
    name = "picloud_job_phase_seconds"
    lines = [
        f"# HELP {name} Seconds of jobs whose reports this API process has stored, by phase.",
        f"# TYPE {name} histogram",
    ]
    for phase, each in times.phases.items():
        bounds = [*zip(map(str, each.bounds), each.at_most, strict=True), ("+Inf", each.count)]
        lines += [f'{name}_bucket{{phase="{phase}",le="{le}"}} {count}' for le, count in bounds]
        lines.append(f'{name}_sum{{phase="{phase}"}} {each.total_s}')
        lines.append(f'{name}_count{{phase="{phase}"}} {each.count}')
    return "\n".join(lines)


class Metrics:
    """Counts jobs, slots, messages and transactions, of all accounts together."""

    def __init__(self, context: Context, queues: QueuePort, prices: Prices) -> None:
        self._commits = context.commits
        self._sessions = context.slot_sessions
        self._turns = context.turns
        self._warm = context.warm_slots
        self._phase_times = context.phase_times
        self._clock = context.clock
        self._queues = queues
        self._prices = prices
        self._cost = 0.0
        self._core_s: defaultdict[str, float] = defaultdict(float)

    async def text(self, holder: Holder) -> str:
        """Return all metrics.

        Raises:
            AdministratorsOnly: When the caller's key is not one of the first account.
        """
        check_administrator(holder)
        ready: dict[str, Ready] = await self._commits.view.scan(Ready.prefix)
        async with self._turns.of(holder.account) as turn:
            counts = await self._states(ready, turn)
        states = sum(counts.values(), Counter[State]())
        slots = self._sessions.all()
        metrics = [
            Metric(
                name="picloud_jobs",
                help="Jobs of the calls and maps that have unfinished jobs, by state.",
                label="state",
                values={state.name.lower(): states[state] for state in State},
            ),
            Metric(
                name="picloud_unfinished_batches",
                help="Calls and maps that have unfinished jobs.",
                values={"": len(ready)},
            ),
            Metric(
                name="picloud_slots",
                help="Slots that are registered, by core type.",
                label="core_type",
                values=Counter(session.pool.core_type for session in slots),
            ),
            Metric(
                name="picloud_wanted_cores",
                help="Cores that jobs could use at once, or that are kept ready, by core type.",
                label="core_type",
                values=self._wanted(counts),
            ),
            Metric(
                name="picloud_transactions_total",
                help="Transactions of the state store that this API process has made.",
                values={"": self._commits.transactions},
                kind="counter",
            ),
            Metric(
                name="picloud_leases",
                help="Jobs that slots hold: those that run, and the next ones of each slot.",
                values={"": states[State.LEASED] + states[State.PROCESSING]},
            ),
            *await self._spent(),
            *await self._messages(),
        ]
        texts = [metric.text() for metric in metrics]
        return "\n".join([*texts, phases_text(self._phase_times)]) + "\n"

    async def _spent(self) -> list[Metric]:
        """Return on which cores jobs have run, and what that costs by the prices of now."""
        history, now = await self._prices.history(), self._clock()
        for (account, core_type, env), ms in self._phase_times.take_core_ms().items():
            price = history.price(core_type, full_name(account, env), now)
            self._cost += cost(price, ms) or 0.0
            self._core_s[core_type] += ms / 1000
        return [
            Metric(
                name="picloud_core_seconds_total",
                help="Seconds of cores of jobs whose reports this API process has stored.",
                label="core_type",
                values=self._core_s,
                kind="counter",
            ),
            Metric(
                name="picloud_cost_dollars_total",
                help="What these seconds cost by the prices.",
                values={"": self._cost},
                kind="counter",
            ),
        ]

    def _wanted(self, counts: Mapping[Pool, Counter[State]]) -> dict[str, int]:
        """Return the cores of all jobs that do not wait for others, or of the slots kept ready."""
        jobs = {pool: sum(states[each] for each in _RUNNABLE) for pool, states in counts.items()}
        wanted = dict.fromkeys(CORE_TYPES, 0)
        for pool in jobs.keys() | self._warm.pools():
            slots = max(jobs.get(pool, 0), self._warm.count(pool))
            wanted[pool.core_type] += pool.cores * slots
        return wanted

    async def _states(self, ready: Mapping[str, Ready], turn: Turn) -> dict[Pool, Counter[State]]:
        """Count the jobs of unfinished batches by pool and state.

        Pages that this process has are not read again.
        """
        pools = {
            layout.page(layout.PageId(*Ready.parse(key), number)): each.pool
            for key, each in ready.items()
            for number in range(each.pages)
        }
        names = list(pools)
        view = self._commits.view
        counts: dict[Pool, Counter[State]] = defaultdict(Counter)
        for start in range(0, len(names), _PAGES_AT_ONCE):
            portion = names[start : start + _PAGES_AT_ONCE]
            await view.refresh(portion)
            for name in portion:
                page = await view.get(name)
                if page is not None:
                    counts[pools[name]].update({state: page.state.count(state) for state in State})
                await turn.pause()
        return counts

    async def _messages(self) -> list[Metric]:
        """Return the messages of all queues, if these are not too many."""
        records: dict[str, QueueRecord] = await self._commits.view.scan(QueueRecord.prefix)
        totals = {"ready": 0, "delayed": 0, "in_flight": 0}
        for record in records.values() if len(records) <= MOST_QUEUES else ():
            counts = await self._queues.counts(record.id)
            for name in totals:
                totals[name] += getattr(counts, name)
        queues = Metric(name="picloud_queues", help="Queues.", values={"": len(records)})
        if len(records) > MOST_QUEUES:
            return [queues]
        messages = Metric(
            name="picloud_queue_messages",
            help="Messages of all queues, by whether they can be taken.",
            label="state",
            values=totals,
        )
        return [queues, messages]
