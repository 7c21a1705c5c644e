"""Job usage: it equals the runtimes of the job records to the millisecond, whatever happened."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from picloud_api.usecases.accounts.job_usage import READ_JOBS
from picloud_model.job import State
from picloud_model.wire import InfoRequest
from picloud_model.wire.usage import JobUsageRequest

from tests.unit.api.api_harness import ACCOUNT, ApiHarness, report_of
from tests.unit.api.finished_jobs import delete_jobs, seal_all

if TYPE_CHECKING:
    from picloud_model.wire.usage import JobUsageRow, UsageGroup

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


async def _rows(api: ApiHarness, by: UsageGroup | None = None) -> list[JobUsageRow]:
    return (await api.use_cases.accounts.job_usage.read(ACCOUNT, JobUsageRequest(by=by))).rows


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


async def _happen(ledger: Ledger, event: tuple[object, ...]) -> None:
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
            await api.use_cases.accounts.prices.change(
                {name: price * api.now for name, price in PRICES.items()}
            )
        case ("restart",):
            await api.stop()
            await api.start()
        case ("seal",):
            await seal_all(api)


async def _statuses(ledger: Ledger, jids: range) -> list[str]:
    return [] if jids[0] in ledger.deleted else await ledger.api.statuses(jids)


@settings(max_examples=20, deadline=None)
@given(HISTORIES)
def test_usage_is_the_sum_of_the_runtimes_of_the_jobs(history: list[tuple[object, ...]]) -> None:
    """Killed, failed and deleted jobs count, also after kill -9, sealing and other prices."""

    async def live() -> None:
        with tempfile.TemporaryDirectory() as root:
            api = await ApiHarness(Path(root)).start()
            ledger = Ledger(api)
            for event in history:
                await _happen(ledger, event)
            await ledger.read()
            for by in (None, "label", "function", "day", "type", "map"):
                rows = await _rows(api, by)
                assert sum(row.jobs for row in rows) == sum(map(len, ledger.batches))
                assert sum(row.runtime_ms for row in rows) == sum(ledger.runtimes.values())
                costs = sum(Fraction(row.cost or 0.0) for row in rows)
                expected = sum(map(Fraction, ledger.costs.values()))
                assert abs(costs - expected) <= Fraction(1, 10**9) * (1 + expected)
            await api.stop()

    asyncio.run(live())


async def test_a_job_with_more_cores_costs_more(api: ApiHarness) -> None:
    """The time counts once for each core, the runtime does not."""
    await api.submit(1, core_type="c2", cores=4)
    await _happen(Ledger(api), ("run", 1.5, State.DONE))

    (row,) = await _rows(api)

    assert (row.runtime_ms, row.core_ms) == (1500, 6000)
    assert row.cost == 0.1 * 6000 / 3_600_000


async def test_rows_are_groups(api: ApiHarness) -> None:
    """Labels, functions, days, core types, and calls and maps."""
    await api.submit(2, label="a", function="f")
    await api.submit(1, core_type="s1", function="g")

    async def jobs(by: UsageGroup) -> Counter[str]:
        counts = Counter[str]()
        for row in await _rows(api, by):
            counts[row.group] += row.jobs
        return counts

    assert await jobs("label") == {"a": 2, "": 1}
    assert await jobs("function") == {"f": 2, "g": 1}
    assert await jobs("day") == {"1970-01-01": 3}
    assert await jobs("type") == {"c1": 2, "s1": 1}
    assert await jobs("map") == {"3": 1, "1-2": 2}


async def test_older_jobs_are_left_out(api: ApiHarness) -> None:
    """Those that were created before a time; and others than those of the account never count."""
    await api.submit(2)
    api.now += 100
    await api.submit(3)
    usage = api.use_cases.accounts.job_usage

    (row,) = (await usage.read(ACCOUNT, JobUsageRequest(since_at=api.now))).rows

    assert row.jobs == 3
    assert (await usage.read("a0000002", JobUsageRequest())).rows == []


async def test_many_jobs_are_read_in_several_requests(api: ApiHarness) -> None:
    """Each answer says where the next one begins; together they count each job once."""
    counts = [1, READ_JOBS + 40_000, 3]
    for count in counts:
        await api.submit(count)
    usage, found, before = api.use_cases.accounts.job_usage, list[int](), None
    while True:
        answer = await usage.read(ACCOUNT, JobUsageRequest(before=before))
        found += [row.jobs for row in answer.rows]
        if (before := answer.more) is None:
            break

    assert len(found) == 2
    assert sum(found) == sum(counts)


async def test_accounting_writes_nothing(api: ApiHarness) -> None:
    """Usage is derived from pages: reading it, or running jobs, writes nothing more."""
    await api.submit(2)
    before = api.state.commits

    await _rows(api)

    assert api.state.commits == before
