"""Deletion: results, output and arguments are removed, the numbers for accounting stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_model import wire
from picloud_model.errors import JobDeleted, JobNotFound, RequestRefused
from picloud_model.pack import Pack

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.finished_jobs import SECRET, delete_jobs, run_printing, seal_all
from tests.unit.api.job_info import info_values
from tests.unit.api.recording_state import BoundedState, RecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture(params=[RecordingState, BoundedState], ids=["kept", "bounded"])
async def api(start_api: StartApi, request: pytest.FixtureRequest) -> ApiHarness:
    """A server, also over a state store that must stay small."""
    return await start_api(request.param)


async def test_any_use_of_a_deleted_job_is_an_error(api: ApiHarness) -> None:
    """The promise: "Once a job is deleted, using its job id in future commands will give an
    error."
    """
    jids = await run_printing(api, 3)

    assert await delete_jobs(api, jids[1]) == 1

    kill = api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[1], jids[1])])
    for using in (api.statuses(jids), api.outcomes(jids), info_values(api, jids), kill):
        with pytest.raises(JobDeleted, match=f"^Job {jids[1]} was deleted.$"):
            await using


async def test_no_job_can_depend_on_a_deleted_job(api: ApiHarness) -> None:
    """The submit of the job that would wait is refused."""
    jids = await run_printing(api, 2)
    await delete_jobs(api, jids[1])
    request = replace(api.request(1), depends_on=[(jids[0], jids[1])])

    with pytest.raises(JobDeleted, match=f"Job {jids[1]} was deleted") as caught:
        await api.send(request)

    assert caught.value.field == "depends_on"


async def test_other_jobs_are_not_deleted(api: ApiHarness) -> None:
    """Jobs of the same pack keep their results and output."""
    jids = await run_printing(api, 3)
    before = await api.outcomes(jids[2:])

    await delete_jobs(api, *jids[:2])

    assert await api.outcomes(jids[2:]) == before
    assert (await info_values(api, jids[2:], "stdout"))[jids[2]]["stdout"] == SECRET.decode()


async def test_nothing_is_left_in_the_store(api: ApiHarness) -> None:
    """The promise: "remove all data related to a job": no byte of result, output or arguments."""
    jids = await run_printing(api, 1500)

    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[0], jids[-1])])

    entries = await api.server.ports.state.scan("packs/")
    for entry in entries:
        pack = Pack(entry.value)
        held = [pack[at] for at in range(len(pack))]
        kept = held[1:] if "/r" in entry.key else held
        assert all(parcel in (b"", b"\x80") for parcel in kept)
    (header,) = (await api.server.context.commits.view.scan("batches/")).values()
    assert header.function == wire.Content()


async def test_only_finished_jobs_can_be_deleted(api: ApiHarness) -> None:
    """The promise: "A job must be finished for it to be deleted." Else none is."""
    done = await run_printing(api, 1)
    queued = await api.submit(1)

    with pytest.raises(RequestRefused, match=f"Job {queued[0]} is queued: only finished jobs"):
        await delete_jobs(api, done[0], queued[0])

    assert await api.statuses(done) == ["done"]


async def test_deletion_is_idempotent(api: ApiHarness) -> None:
    """A second deletion of the same jobs deletes nothing and is not an error."""
    jids = await run_printing(api, 2)

    assert await delete_jobs(api, *jids) == 2
    assert await delete_jobs(api, *jids) == 0


async def test_jobs_of_others_cannot_be_deleted(api: ApiHarness) -> None:
    """A job of another account looks like one that never existed."""
    jids = await run_printing(api, 1)

    with pytest.raises(JobNotFound):
        await api.use_cases.jobs.delete.delete("a0000002", [(jids[0], jids[0])])

    assert await api.statuses(jids) == ["done"]


async def test_deletion_survives_a_restart(api: ApiHarness) -> None:
    """A deleted job stays deleted."""
    jids = await run_printing(api, 1)
    await delete_jobs(api, *jids)

    await api.stop()
    await api.start()

    with pytest.raises(JobDeleted):
        await api.statuses(jids)


async def test_numbers_are_kept_for_accounting(api: ApiHarness) -> None:
    """The promise: "Only meta data such as the job's job id, finished status, created time, finish
    time, and runtime will be maintained".
    """
    jids = await run_printing(api, 1)
    (page,) = (await api.server.context.commits.view.scan("pages/")).values()
    before = page.state[0], page.started[0], page.finished[0]

    await delete_jobs(api, *jids)

    (page,) = (await api.server.context.commits.view.scan("pages/")).values()
    assert (page.state[0], page.started[0], page.finished[0]) == before
    assert page.finished[0] > page.started[0] > 0


async def test_sealed_jobs_can_be_deleted(api: ApiHarness) -> None:
    """A sealed batch is written back, and sealed again without what was deleted."""
    jids = await run_printing(api, 1500)
    before = await api.outcomes(jids[1:])
    await seal_all(api)

    assert await delete_jobs(api, jids[0], jids[1200]) == 2
    for _ in range(2):
        with pytest.raises(JobDeleted):
            await api.statuses(jids[:1])
        assert await api.outcomes(jids[1:1000]) == dict(list(before.items())[:999])
        assert (await info_values(api, jids[5:6], "stdout"))[jids[5]]["stdout"] == SECRET.decode()
        await seal_all(api)

    if api.state.bounded:
        kinds = {entry.key.partition("/")[0] for entry in await api.server.ports.state.scan("")}
        assert not {"pages", "packs", "finished"} & kinds


async def test_a_shared_failure_stays_for_the_other_jobs(api: ApiHarness) -> None:
    """Jobs that were killed together share one failure, which is kept as long as one needs it."""
    jids = await api.submit(3)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
    before = await api.outcomes(jids[1:])

    await delete_jobs(api, jids[0])

    assert await api.outcomes(jids[1:]) == before
    assert (await info_values(api, jids[1:], "exception"))[jids[1]]["exception"]


async def test_all_finished_jobs_are_deleted(api: ApiHarness) -> None:
    """Neither unfinished jobs nor those of other accounts are."""
    done = await run_printing(api, 3)
    unfinished = await api.submit(2)

    deleted = await api.use_cases.jobs.delete.delete_finished(ACCOUNT)

    assert (deleted.count, deleted.more) == (3, False)
    assert await api.statuses(unfinished) == ["queued"] * 2
    with pytest.raises(JobDeleted):
        await api.statuses(done)
    assert (await api.use_cases.jobs.delete.delete_finished(ACCOUNT)).count == 0
    assert (await api.use_cases.jobs.delete.delete_finished("a0000002")).count == 0


async def test_a_large_map_is_deleted_by_several_requests(api: ApiHarness) -> None:
    """Each stops at the end of a page; the function goes with the last job."""
    await run_printing(api, 2500)
    delete = api.use_cases.jobs.delete.delete_finished

    deleted = [await delete(ACCOUNT, most=1000) for _ in range(4)]

    assert [(each.count, each.more) for each in deleted] == [
        (1000, True),
        (1000, True),
        (500, False),
        (0, False),
    ]
    (header,) = (await api.server.context.commits.view.scan("batches/")).values()
    assert header.function == wire.Content()
