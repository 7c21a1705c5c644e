"""Locating jobs: the cost of a request depends on its pages, not on the jids that it names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.engine.jobs.locate import locate, pages_of
from picloud_model.errors import JobDeleted, JobNotFound

from tests.unit.api.api_harness import ACCOUNT, hold, report_of
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from picloud_driver.state import StateEntry

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

JOBS = 4000
FEW = 4
"""Reads of the state store: each of those below names 2,000 jobs in four pages."""


class CountingState(SharedRecordingState):
    """A store that other processes write to as well, and that counts the reads of each key."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.counts: Counter[str] = Counter()

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        self.counts.update(["requests", *keys])
        return await super().get(keys)


@pytest.fixture
async def api(start_api: StartApi) -> ApiHarness:
    """A server whose state store counts reads."""
    return await start_api(CountingState)


@pytest.fixture
def reads(api: ApiHarness) -> Counter[str]:
    """How often each key was read."""
    assert isinstance(api.state, CountingState)
    return api.state.counts


def every_second(jids: range) -> list[tuple[int, int]]:
    """Return every second job as a range of its own."""
    return [(jid, jid) for jid in jids[::2]]


async def test_each_page_is_read_once_for_many_jids(api: ApiHarness, reads: Counter[str]) -> None:
    """The status of every second job of a map reads each of its pages once."""
    jids = await api.submit(JOBS)
    reads.clear()

    answer = await api.use_cases.jobs.status.status(ACCOUNT, every_second(jids), hold)

    assert [run.first for run in answer.runs] == list(jids[::2])
    assert reads["requests"] <= FEW
    assert {count for name, count in reads.items() if name.startswith("pages/")} == {1}


async def test_dependencies_are_evaluated_by_the_page(api: ApiHarness, reads: Counter[str]) -> None:
    """A job that depends on 2,000 scattered jobs is submitted and released with a few reads."""
    jids = await api.submit(JOBS)
    slot = await api.slot()
    while leases := (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    reads.clear()

    last = await api.send(replace(api.request(1), depends_on=every_second(jids)))
    await api.wait_until(lambda: api.statuses(last), ["queued"])

    assert reads["requests"] <= 4 * FEW


async def test_jobs_of_a_page_are_killed_and_deleted_together(api: ApiHarness) -> None:
    """Every second job of a map is killed and deleted with a few transactions; the others stay."""
    jids = await api.submit(JOBS)
    asked = [*every_second(jids), (jids[0], jids[2])]
    commits, before = api.server.context.commits, api.server.context.commits.transactions

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, asked)).count == JOBS // 2 + 1
    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, asked)).count == 0
    assert (await api.use_cases.jobs.delete.delete(ACCOUNT, asked)).count == JOBS // 2 + 1
    assert (await api.use_cases.jobs.delete.delete(ACCOUNT, asked)).count == 0

    assert commits.transactions - before <= 10 * FEW
    assert await api.statuses(jids[3:4]) == ["queued"]
    with pytest.raises(JobDeleted, match=f"^Job {jids[4]} was deleted"):
        await api.statuses(jids[4:5])


async def test_nothing_is_killed_where_one_job_was_deleted(api: ApiHarness) -> None:
    """A kill that names a deleted job is refused as a whole."""
    jids = await api.submit(3)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[2], jids[2])])
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[2], jids[2])])

    with pytest.raises(JobDeleted):
        await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[2])])

    assert await api.statuses(jids[:2]) == ["queued"] * 2


async def test_the_first_jid_that_is_unknown_is_named(api: ApiHarness, reads: Counter[str]) -> None:
    """However many jids are named, and although unknown ones are read again."""
    jids = await api.submit(JOBS)
    asked = [*every_second(jids), (JOBS + 7, JOBS + 8)]

    with pytest.raises(JobNotFound, match=f"There is no job {JOBS + 7} in your account"):
        await api.use_cases.jobs.status.status(ACCOUNT, asked, hold)

    assert reads["requests"] < 4 * FEW


async def test_small_and_large_batches_are_found_next_to_each_other(api: ApiHarness) -> None:
    """Jids of calls and of maps are in two kinds of index blocks; a range may cross both."""
    first = await api.submit(1)
    await api.submit(3000)
    last = await api.submit(1)

    answer = await api.use_cases.jobs.status.status(ACCOUNT, [(first[0], last[-1])], hold)

    assert sum(run.last - run.first + 1 for run in answer.runs) == 3002


async def test_the_pages_of_a_batch_are_read_in_few_requests(
    api: ApiHarness, reads: Counter[str]
) -> None:
    """A look at all unfinished jobs, every ten seconds, takes a request for twenty pages."""
    jids = await api.submit(JOBS)
    context = api.server.context
    (piece, *_) = await locate(context.commits.view, ACCOUNT, [(jids[0], jids[-1])])
    context.commits.view.forget_all()
    reads.clear()

    pages = [
        (page_id.page, len(page))
        async for page_id, page in pages_of(
            context.commits.view, piece.page_id.batch_id, 5, context.turns.of(ACCOUNT)
        )
    ]

    assert pages == [(0, 1000), (1, 1000), (2, 1000), (3, 1000)]
    assert reads["requests"] == 2, "one for the pages, one for a page that there is none of"
