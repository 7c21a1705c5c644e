"""Statuses of jobs, and of jobs that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import JobNotFound

from tests.unit.api.api_harness import ACCOUNT, hold

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


@pytest.mark.parametrize("jids", [[(2, 2)], [(1, 2)], [(1, 10**12)], [(10**15, 10**15)]])
async def test_unknown_jobs_are_not_found_in_bounded_time(
    api: ApiHarness, jids: list[tuple[int, int]]
) -> None:
    """The error names a jid that does not exist; a huge range of jids takes no longer."""
    await api.submit(1)

    with pytest.raises(JobNotFound) as refused:
        await api.use_cases.jobs.status.status(ACCOUNT, jids, hold)

    assert "There is no job" in refused.value.message


async def test_another_accounts_job_looks_like_none(api: ApiHarness) -> None:
    """Jobs of another account and jobs that never existed cause the same error."""
    await api.submit(1)

    with pytest.raises(JobNotFound) as others:
        await api.use_cases.jobs.status.status("a0000002", [(1, 1)], hold)
    with pytest.raises(JobNotFound) as unknown:
        await api.use_cases.jobs.status.status(ACCOUNT, [(2, 2)], hold)

    assert others.value.message.replace("1", "2") == unknown.value.message


async def test_equal_neighbours_share_a_run(api: ApiHarness) -> None:
    """A reply has one run for each stretch of equal statuses, in the order of the request."""
    await api.submit(5)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 3)])

    answer = await api.use_cases.jobs.status.status(ACCOUNT, [(4, 5), (1, 3)], hold)

    runs = [(run.first, run.last, run.status) for run in answer.runs]
    assert runs == [(4, 5, "queued"), (1, 1, "queued"), (2, 3, "killed")]


async def test_a_run_goes_on_in_the_next_page(api: ApiHarness) -> None:
    """A run is as long as its statuses are equal, in however many pages of 1,000 jobs."""
    await api.submit(3500)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(900, 2100)])

    answer = await api.use_cases.jobs.status.status(ACCOUNT, [(2, 3500)], hold)

    runs = [(run.first, run.last, run.status) for run in answer.runs]
    assert runs == [(2, 899, "queued"), (900, 2100, "killed"), (2101, 3500, "queued")]
