"""Why a job does not run, and how slots are asked for that do not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import JobNotFound

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

REFUSED = "No machine offers core type 'c1'; machines offer c2."


async def why(api: ApiHarness, jid: int) -> str:
    """What the server says of one job."""
    return (await api.use_cases.jobs.info._why.reasons(ACCOUNT, [(jid, jid)]))[jid]


async def test_a_queued_job_has_a_place_in_the_queue(api: ApiHarness) -> None:
    """It is told how many jobs are ahead of it, and how many slots there are for all of them."""
    await api.submit(3)
    jids = await api.submit(2)

    told = await why(api, jids[-1])

    assert told == "4 jobs are ahead of it for 0 slots of 1 x c1, and 2 more are starting."


async def test_a_job_that_matters_less_has_more_ahead_of_it(api: ApiHarness) -> None:
    """What is ahead is what will be leased first: priority counts, then age."""
    later = await api.submit(1, priority=9)
    await api.submit(1200)

    assert (await why(api, later[0])).startswith("1200 jobs are ahead of it")


async def test_who_runs_or_has_ended_waits_for_nothing(api: ApiHarness) -> None:
    """Nothing is said of a job that is leased or final."""
    jids = await api.submit(1)
    slot = await api.slot()
    [lease] = (await api.work(slot)).leases
    assert await why(api, jids[0]) == ""

    await api.work(slot, reports=[report_of(lease)], lease=False)
    assert await why(api, jids[0]) == ""


async def test_the_scheduler_s_own_words(api: ApiHarness) -> None:
    """Where slots cannot start, the sentence of the scheduler says what is in the way."""
    api.scheduler.refusal = REFUSED
    jids = await api.submit(1)
    await api.scale_up()

    told = await why(api, jids[0])

    assert (
        told == f"0 jobs are ahead of it for 0 slots of 1 x c1, and 0 more are starting. {REFUSED}"
    )


async def test_an_unknown_job_has_no_reason(api: ApiHarness) -> None:
    """It is asked for like everything else of a job: of one's own account only."""
    with pytest.raises(JobNotFound):
        await why(api, 1)
