"""Job usage: it equals the runtimes of the job records to the millisecond, whatever happened."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from picloud_api.usecases.accounts.job_usage import READ_JOBS
from picloud_model.job import State
from picloud_model.wire.usage import JobUsageRequest

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.usecases.accounts.histories import HISTORIES, Ledger, happen

if TYPE_CHECKING:
    from picloud_model.wire.usage import JobUsageRow, UsageGroup


async def _rows(api: ApiHarness, by: UsageGroup | None = None) -> list[JobUsageRow]:
    return (await api.use_cases.accounts.job_usage.read(ACCOUNT, JobUsageRequest(by=by))).rows


@settings(max_examples=20, deadline=None)
@given(HISTORIES)
def test_usage_is_the_sum_of_the_runtimes_of_the_jobs(history: list[tuple[object, ...]]) -> None:
    """Killed, failed and deleted jobs count, also after kill -9, sealing and other prices."""

    async def live() -> None:
        with tempfile.TemporaryDirectory() as root:
            api = await ApiHarness(Path(root)).start()
            ledger = Ledger(api)
            for event in history:
                await happen(ledger, event)
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
    await happen(Ledger(api), ("run", 1.5, State.DONE))

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
