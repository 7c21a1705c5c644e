"""Deleting: what jobs left is gone, what accounts are kept by stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_driver.state.sqlite import SqliteState
from picloud_model import wire
from picloud_model.errors import JobDeleted, JobNotFound, RequestRefused
from picloud_model.pack import Pack

from tests.unit.api.usecases.jobs.test_info import ask, content, informed
from tests.unit.api.world import ACCOUNT, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = b"a secret that was printed"


@pytest.fixture(params=[False, True], ids=["kept", "bounded"])
async def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """A server; once with a state store that is to stay small."""
    monkeypatch.setattr(SqliteState, "bounded", request.param)
    made = await World(tmp_path).start()
    yield made
    await made.stop()


async def run(world: World, count: int) -> range:
    """Submit a map and run every job of it; each prints a secret."""
    jids = await world.submit(count)
    slot = await world.slot()
    while leases := (await world.work(slot)).leases:
        for lease in leases:
            infos = {job.index: content(stdout=SECRET) for job in lease.jobs}
            await world.work(slot, reports=[informed(lease, infos)], lease=False)
    return jids


async def delete(world: World, *jids: int) -> int:
    """Delete jobs; answers how many were."""
    answer = await world.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid) for jid in jids])
    return answer.count


async def test_later_use_says_deleted(world: World) -> None:
    """The promise: "Once a job is deleted, using its job id in future commands will give an
    error."
    """
    jids = await run(world, 3)

    assert await delete(world, jids[1]) == 1

    killing = world.use_cases.jobs.kill.kill(ACCOUNT, [(jids[1], jids[1])])
    for using in (world.statuses(jids), world.outcomes(jids), ask(world, jids), killing):
        with pytest.raises(JobDeleted, match=f"^Job {jids[1]} was deleted.$"):
            await using


async def test_nobody_can_depend_on_a_deleted_job(world: World) -> None:
    """That too is a use: it is refused when the job that would wait is submitted."""
    jids = await run(world, 2)
    await delete(world, jids[1])
    request = replace(world.request(1), depends_on=[(jids[0], jids[1])])

    with pytest.raises(JobDeleted, match=f"Job {jids[1]} was deleted") as caught:
        await world.send(request)

    assert caught.value.field == "depends_on"


async def test_the_others_stay(world: World) -> None:
    """Jobs of the same pack keep their results and output."""
    jids = await run(world, 3)
    before = await world.outcomes(jids[2:])

    await delete(world, *jids[:2])

    assert await world.outcomes(jids[2:]) == before
    assert (await ask(world, jids[2:], "stdout"))[jids[2]]["stdout"] == SECRET.decode()


async def test_nothing_is_left_in_the_store(world: World) -> None:
    """The promise: "remove all data related to a job": no byte of result, output or arguments."""
    jids = await run(world, 1500)

    await world.use_cases.jobs.delete.delete(ACCOUNT, [(jids[0], jids[-1])])

    entries = await world.server.ports.state.scan("packs/")
    for entry in entries:
        pack = Pack(entry.value)
        held = [pack[at] for at in range(len(pack))]
        kept = held[1:] if "/r" in entry.key else held
        assert all(parcel in (b"", b"\x80") for parcel in kept)
    (header,) = (await world.server.context.commits.view.scan("batches/")).values()
    assert header.function == wire.Content()


async def test_only_finished_jobs(world: World) -> None:
    """The promise: "A job must be finished for it to be deleted." Then none of those named is."""
    done = await run(world, 1)
    queued = await world.submit(1)

    with pytest.raises(RequestRefused, match=f"Job {queued[0]} is queued: only finished jobs"):
        await delete(world, done[0], queued[0])

    assert await world.statuses(done) == ["done"]


async def test_deleting_again_is_no_error(world: World) -> None:
    """It is idempotent: the second time nothing is left to do."""
    jids = await run(world, 2)

    assert await delete(world, *jids) == 2
    assert await delete(world, *jids) == 0


async def test_jobs_of_others_cannot_be_deleted(world: World) -> None:
    """Another account's job is as one that never was."""
    jids = await run(world, 1)

    with pytest.raises(JobNotFound):
        await world.use_cases.jobs.delete.delete("a0000002", [(jids[0], jids[0])])

    assert await world.statuses(jids) == ["done"]


async def test_it_survives_a_restart(world: World) -> None:
    """What was deleted stays so."""
    jids = await run(world, 1)
    await delete(world, *jids)

    await world.stop()
    await world.start()

    with pytest.raises(JobDeleted):
        await world.statuses(jids)


async def test_numbers_are_kept_for_accounting(world: World) -> None:
    """The promise: "Only meta data such as the job's job id, finished status, created time, finish
    time, and runtime will be maintained".
    """
    jids = await run(world, 1)
    (page,) = (await world.server.context.commits.view.scan("pages/")).values()
    before = page.state[0], page.started[0], page.finished[0]

    await delete(world, *jids)

    (page,) = (await world.server.context.commits.view.scan("pages/")).values()
    assert (page.state[0], page.started[0], page.finished[0]) == before
    assert page.finished[0] > page.started[0] > 0


async def test_sealed_jobs_can_be_deleted(world: World) -> None:
    """A batch that was sealed is opened, and sealed again without what was deleted."""
    jids = await run(world, 1500)
    before = await world.outcomes(jids[1:])
    await seal(world)

    assert await delete(world, jids[0], jids[1200]) == 2
    for _ in range(2):
        with pytest.raises(JobDeleted):
            await world.statuses(jids[:1])
        assert await world.outcomes(jids[1:1000]) == dict(list(before.items())[:999])
        assert (await ask(world, jids[5:6], "stdout"))[jids[5]]["stdout"] == SECRET.decode()
        await seal(world)

    if SqliteState.bounded:
        left = {entry.key.partition("/")[0] for entry in await world.server.ports.state.scan("")}
        assert not {"pages", "packs", "finished"} & left


async def seal(world: World) -> None:
    """Some hours pass."""
    world.now += 7200
    await world.server.background.sealer.seal_finished()


async def test_killing_everything_passes_deleted_jobs_by(world: World) -> None:
    """ "If you pass no arguments into kill, all unfinished jobs are killed": also where some jobs
    of a map were deleted.
    """
    jids = await world.submit(3)
    await world.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])
    await delete(world, jids[0])

    assert (await world.use_cases.jobs.kill.kill(ACCOUNT, None)).count == 2

    assert await world.statuses(jids[1:]) == ["killed", "killed"]


async def test_what_jobs_share_stays_for_the_others(world: World) -> None:
    """Jobs that were killed together share what is said of them; the last takes it along."""
    jids = await world.submit(3)
    await world.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
    before = await world.outcomes(jids[1:])

    await delete(world, jids[0])

    assert await world.outcomes(jids[1:]) == before
    assert (await ask(world, jids[1:], "exception"))[jids[1]]["exception"]
