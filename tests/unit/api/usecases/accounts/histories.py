"""Histories of an account: jobs that run, fail, are killed and deleted, other prices, restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from picloud_api.usecases.accounts.price import PriceList
from picloud_model.job import State
from picloud_model.wire import InfoRequest

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.finished_jobs import delete_jobs, seal_all

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

PRICES = {"c1": 0.04, "c2": 0.1, "f2": 0.22}
SUBMITTED = st.tuples(
    st.just("submit"),
    st.sampled_from([1, 2, 1001]),
    st.sampled_from(["c1", "c2", "f2"]),
    st.sampled_from([None, "a", "b"]),
)
RUN = st.tuples(st.just("run"), st.floats(0, 1e5), st.sampled_from([State.DONE, State.ERROR]))
EVENTS = ("kill", "delete", "price", "restart", "seal")
HISTORIES = st.lists(
    st.one_of(SUBMITTED, RUN, st.tuples(st.sampled_from(EVENTS))), min_size=1, max_size=10
)


class Ledger:
    """What jobs say of themselves: runtimes in milliseconds and costs by jid."""

    def __init__(self, api: ApiHarness) -> None:
        self.api = api
        self.batches: list[range] = []
        self.deleted: set[int] = set()
        self.runtimes: dict[int, int] = {}
        self.costs: dict[int, float] = {}

    async def read(self) -> None:
        """Read what is not deleted."""
        for jids in self.batches:
            if jids[0] in self.deleted:
                continue
            request = InfoRequest(jids=[(jids[0], jids[-1])], keys=["runtime", "cost"])
            for job in (await self.api.use_cases.jobs.info.info(ACCOUNT, request)).jobs:
                self.runtimes[job.jid] = round((job.values["runtime"] or 0.0) * 1000)
                self.costs[job.jid] = job.values["cost"]


async def happen(ledger: Ledger, event: tuple[object, ...]) -> None:
    """Let one event of a history happen."""
    api = ledger.api
    api.now += 7
    match event:
        case ("submit", int(count), str(core_type), label):
            ledger.batches.append(await api.submit(count, core_type=core_type, label=label))
        case ("run", float(seconds), State() as state):
            await api.scale_up()
            while api.scheduler.free_place() is not None:
                slot = await api.slot()
                for lease in (await api.work(slot)).leases:
                    await api.work(slot, reports=[report_of(lease, state, seconds)], lease=False)
        case ("kill",) if ledger.batches:
            jids = ledger.batches[-1]
            if jids[0] not in ledger.deleted:
                await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
        case ("delete",):
            await ledger.read()
            for jids in ledger.batches:
                ended = {"done", "error", "killed"}.issuperset(await _statuses(ledger, jids))
                if ended and jids[0] not in ledger.deleted:
                    await delete_jobs(api, *jids)
                    ledger.deleted.update(jids)
        case ("price",):
            prices = {name: price * api.now for name, price in PRICES.items()}
            await api.use_cases.accounts.prices.change(PriceList(dollars_per_hour=prices))
        case ("restart",):
            await api.stop()
            await api.start()
        case ("seal",):
            await seal_all(api)


async def _statuses(ledger: Ledger, jids: range) -> list[str]:
    return [] if jids[0] in ledger.deleted else await ledger.api.statuses(jids)
