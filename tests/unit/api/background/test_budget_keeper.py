"""The budget keeper: jobs that run are killed when nothing is left for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.api.budgets import DAY, HOUR, begin, keep, put, run, spent

if TYPE_CHECKING:
    from picloud_model.wire import Outcome

    from tests.unit.api.api_harness import ApiHarness


async def test_jobs_that_run_are_killed_in_time(api: ApiHarness) -> None:
    """A long job counts while it runs; jobs in the queue end at once, and both say why."""
    await put(api, 0.04, action="kill", label="x")
    running = await begin(api, label="x")
    queued = await api.submit(1001, label="x")
    others = await api.submit(1)
    api.now += HOUR / 2
    await keep(api)
    assert await spent(api) == [0.02]
    assert (await api.statuses(queued))[0] == "queued"

    api.now += HOUR / 2
    await keep(api)

    outcomes: dict[int, Outcome] = {}

    async def ended() -> int:
        outcomes.update(await api.outcomes(range(running[0], queued[-1] + 1)))
        return len(outcomes)

    await api.wait_until(ended, 1002)
    assert {each.status for each in outcomes.values()} == {"killed"}
    for jid in (running[0], queued[-1]):
        assert b"killed because a budget was reached" in (outcomes[jid].payload or b"")
    assert await api.statuses(others) == ["queued"]
    assert await spent(api) == [0.04]


async def test_a_job_counts_for_the_day_of_its_creation(api: ApiHarness) -> None:
    """The next day has its whole budget; yesterday's jobs are killed when yesterday's is spent."""
    await put(api, 0.04, period="day", action="kill")
    api.now = DAY - HOUR / 2
    await run(api, HOUR / 4)
    first = await begin(api)
    api.now = DAY + HOUR / 4
    assert await spent(api) == [0.0]
    second = await api.submit(1)

    await keep(api)

    await api.wait_until(lambda: api.statuses(first), ["killed"])
    assert await api.statuses(second) == ["queued"]


async def test_only_the_leader_kills(api: ApiHarness) -> None:
    """Another process knows what is spent, and leaves the jobs to the leader."""
    await put(api, 0, action="kill")
    await put(api, 1, action="kill")
    jids = await api.submit(1)
    await put(api, 0, action="kill")
    api.server.background.autoscaler.is_leader = False

    await keep(api)
    assert await api.statuses(jids) == ["queued"]
    api.server.background.autoscaler.is_leader = True
    await keep(api)

    assert await api.statuses(jids) == ["killed"]


async def test_a_batch_with_deleted_jobs_is_killed(api: ApiHarness) -> None:
    """What is left of it ends; what was deleted stays so."""
    await put(api, 1, action="kill")
    jids = await api.submit(2)
    await api.use_cases.jobs.kill.kill("a0000001", [(jids[0], jids[0])])
    await api.use_cases.jobs.delete.delete("a0000001", [(jids[0], jids[0])])
    await put(api, 0, action="kill")

    await keep(api)

    assert await api.statuses(jids[1:]) == ["killed"]
