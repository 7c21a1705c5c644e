"""Why a job does not run: the jobs ahead of it, and what keeps slots from starting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.usecases.jobs.why import Why
from picloud_model.errors import JobNotFound

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

REFUSED = "No machine offers core type 'c1'; machines offer c2."


async def why(api: ApiHarness, jid: int) -> str:
    """Return the reason why one job does not run."""
    return (await api.use_cases.jobs.why.reasons(ACCOUNT, [(jid, jid)]))[jid]


async def test_a_queued_job_waits_for_the_jobs_ahead_of_it(api: ApiHarness) -> None:
    """The reason says how many jobs are ahead, and how many slots there are for all of them."""
    await api.submit(3)
    jids = await api.submit(2)

    reason = await why(api, jids[-1])

    assert reason == ("4 jobs are ahead of it, and there is no slot of 1 x c1 yet; 2 are starting.")


async def test_a_job_of_lower_priority_has_more_jobs_ahead(api: ApiHarness) -> None:
    """The jobs ahead are those that are leased first: by priority, then by age."""
    later = await api.submit(1, priority=9)
    await api.submit(1200)

    assert (await why(api, later[0])).startswith("1,200 jobs are ahead of it")


async def test_a_job_that_runs_or_has_ended_waits_for_nothing(api: ApiHarness) -> None:
    """There is no reason for a job that is leased or final."""
    jids = await api.submit(1)
    slot = await api.slot()
    [lease] = (await api.work(slot)).leases
    assert await why(api, jids[0]) == ""

    await api.work(slot, reports=[report_of(lease)], lease=False)
    assert await why(api, jids[0]) == ""


async def test_a_result_that_cannot_be_stored_is_a_reason(api: ApiHarness) -> None:
    """The slot keeps it, and the job runs until it is stored; a queued job is not concerned."""
    jids = await api.submit(3)
    await api.work(await api.slot())
    context = api.server.context
    explain = Why(context, api.scheduler, {ACCOUNT: "the disk is full."}.__getitem__)

    reasons = await explain.reasons(ACCOUNT, [(jids[0], jids[-1])])

    assert reasons[jids[0]] == (
        "It runs, or its result waits until it can be stored: the disk is full."
    )
    assert "full" not in reasons[jids[1]]
    assert await why(api, jids[0]) == ""


async def test_the_reason_ends_with_that_of_the_scheduler(api: ApiHarness) -> None:
    """If slots cannot start, the scheduler says why."""
    api.scheduler.refusal = REFUSED
    jids = await api.submit(1)
    await api.scale_up()

    reason = await why(api, jids[0])

    assert reason == f"There is no slot of 1 x c1 yet. {REFUSED}"


async def test_a_waiting_job_names_what_it_depends_on(api: ApiHarness) -> None:
    """One job, or the ranges of jobs, of which at most five are named."""
    first = await api.submit(20)
    spans = [(jid, jid) for jid in first[:14:2]]
    one = await api.send(replace(api.request(1), depends_on=spans[1:2]))
    many = await api.send(replace(api.request(1), depends_on=spans))

    assert await why(api, one[0]) == f"Job {spans[1][0]}, which it depends on, has not ended."
    assert await why(api, many[0]) == (
        "The jobs it depends on have not all ended: 1, 3, 5, 7, 9 and 2 more ranges."
    )


async def test_an_unknown_job_has_no_reason(api: ApiHarness) -> None:
    """A job that does not exist in the account is an error, as for any other request."""
    with pytest.raises(JobNotFound):
        await why(api, 1)
