"""Cron jobs: registered by label, due at times, submitted once for each."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, ClassVar

import pytest
from msgspec.structs import replace
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_model import pack
from picloud_model.errors import CronNotFound, PiCloudError, RequestRefused, Unavailable
from picloud_model.wire import Content, ListRequest, PackPart
from picloud_model.wire.cron import (
    CronSchedule,
    RegisterCronRequest,
    RunCronRequest,
)

from tests.unit.api.api_harness import ACCOUNT, hold
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_model.wire.cron import CronInfo

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

HOUR = 3600.0


def registration(api: ApiHarness, label: str = "a", **schedule: str) -> RegisterCronRequest:
    """Return a request that runs a job every hour."""
    job = replace(api.request(1), kind="call")
    chosen = {"schedule": "@hourly", **schedule}
    return RegisterCronRequest(label=label, schedule=CronSchedule(**chosen), job=job)  # type: ignore[arg-type]


async def register(api: ApiHarness, label: str = "a", **schedule: str) -> CronInfo:
    """Register a job that runs every hour."""
    request = registration(api, label, **schedule)
    return await api.use_cases.crons.crons.register(ACCOUNT, request)


async def start_due(api: ApiHarness, since: float = 0.0) -> float | None:
    """Submit what is due by now; return when it is due next."""
    crons = api.use_cases.crons.crons
    (following,) = await crons.start_due([layout.cron(ACCOUNT, "a")], api.now, since)
    assert not isinstance(following, PiCloudError)
    return following


async def info(api: ApiHarness) -> CronInfo:
    """Return what is known of the cron job."""
    return await api.use_cases.crons.crons.info(ACCOUNT, "a")


async def test_a_job_is_submitted_when_it_is_due(api: ApiHarness) -> None:
    """Once for each time; its label is that of the cron job."""
    registered = await register(api)
    assert registered.next_at[:2] == [HOUR, 2 * HOUR]
    assert (registered.last_jid, registered.last_status) == (0, "")
    assert await start_due(api) == HOUR

    api.now = HOUR + 0.2
    assert [await start_due(api) for _ in range(2)] == [2 * HOUR, 2 * HOUR]

    after = await info(api)
    assert (after.last_jid, after.last_due_at, after.last_status) == (1, HOUR, "queued")
    assert after.next_at[0] == 2 * HOUR
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, ListRequest(label="a"))
    assert [job.jid for job in listed.jobs] == [1]


async def test_two_processes_submit_one_job(api: ApiHarness) -> None:
    """Also when the first one died before it could note that."""
    await register(api)
    key = layout.cron(ACCOUNT, "a")
    before = await api.server.context.commits.view.fresh(key)
    api.now = HOUR
    await start_due(api)

    async def undo(draft: Draft) -> None:
        await draft.fresh(key)
        draft.put(key, before)

    await api.server.context.commits.run(undo)
    assert await start_due(api) == 2 * HOUR

    assert (await info(api)).last_jid == 1
    assert list(await api.submit(1)) == [2]


@pytest.mark.parametrize(
    ("missed", "last_due", "counted"), [("skip", 0.0, 5), ("run", 5 * HOUR, 4)]
)
async def test_what_was_missed_is_left_out_or_run_once(
    api: ApiHarness, missed: str, last_due: float, counted: int
) -> None:
    """What did not run is counted in both cases."""
    await register(api, missed=missed)
    api.now = 5 * HOUR + 120

    assert await start_due(api, since=api.now) == 6 * HOUR

    after = await info(api)
    assert (after.last_due_at, after.missed) == (last_due, counted)


async def test_a_run_that_is_a_little_late_is_not_missed(api: ApiHarness) -> None:
    """Another process takes over within seconds."""
    await register(api)
    api.now = HOUR + 30

    await start_due(api, since=api.now)

    after = await info(api)
    assert (after.last_jid, after.missed) == (1, 0)


async def test_a_clock_that_jumps_neither_repeats_nor_drops_a_run(api: ApiHarness) -> None:
    """Forward: the run comes, though its policy is to skip what was missed. Back: it is over."""
    await register(api)
    since, api.now = api.now, 1.5 * HOUR
    await start_due(api, since)
    assert (await info(api)).last_due_at == HOUR

    api.now = 0.5 * HOUR
    assert await start_due(api, since) == 2 * HOUR
    api.now = HOUR
    await start_due(api, since)
    assert (await info(api)).last_jid == 1
    api.now = 2 * HOUR
    await start_due(api, since)

    assert ((await info(api)).last_jid, (await info(api)).missed) == (2, 0)


@pytest.mark.parametrize(
    ("overlap", "last_jid", "first_status", "skipped"),
    [("allow", 2, "queued", 0), ("skip", 1, "queued", 1), ("kill", 2, "killed", 0)],
)
async def test_a_run_that_overlaps(
    api: ApiHarness, overlap: str, last_jid: int, first_status: str, skipped: int
) -> None:
    """The first job is still queued when the second is due."""
    await register(api, overlap=overlap)
    for api.now in (HOUR, 2 * HOUR):
        await start_due(api)

    after = await info(api)
    assert (after.last_jid, after.skipped) == (last_jid, skipped)
    statuses = await api.use_cases.jobs.status.status(ACCOUNT, [(1, 1)], hold)
    assert statuses.runs[0].status == first_status


async def test_a_deleted_job_does_not_overlap(api: ApiHarness) -> None:
    """Nothing is known of it any longer."""
    await register(api, overlap="skip")
    api.now = HOUR
    await start_due(api)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(1, 1)])

    api.now = 2 * HOUR
    await start_due(api)

    assert (await info(api)).last_jid == 2


async def test_registering_again_replaces(api: ApiHarness) -> None:
    """A repeated request changes nothing; a new one begins anew, and its runs are its own."""
    request = registration(api)
    await api.use_cases.crons.crons.register(ACCOUNT, request)
    api.now = HOUR
    await start_due(api)

    assert (await api.use_cases.crons.crons.register(ACCOUNT, request)).last_jid == 1
    other = await register(api, schedule="30 * * * *")

    assert (other.last_jid, other.next_at[0]) == (0, 1.5 * HOUR)
    assert await start_due(api) == 1.5 * HOUR


async def test_what_is_due_runs_as_it_is_registered_meanwhile(start_api: StartApi) -> None:
    """No due time is lost and none starts two jobs, whatever comes first."""
    api = await start_api(SharedRecordingState)
    await register(api)
    api.now = HOUR + 0.2
    again = registration(api)
    await api.use_cases.crons.crons.register(ACCOUNT, again)
    other, key = Commits(View(api.state), "two"), layout.cron(ACCOUNT, "a")

    async def registered(draft: Draft) -> None:
        record = await draft.get(key)
        draft.put(key, replace(record, job=registration(api).job))

    async def register_again() -> None:
        api.state.before_commit = None
        await other.run(registered)

    api.state.before_commit = register_again
    crons = api.use_cases.crons.crons
    (outcome,) = await crons.start_due([key], api.now, 0.0)
    assert isinstance(outcome, Unavailable)
    assert await start_due(api) == await start_due(api) == 2 * HOUR
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, ListRequest(label="a"))
    assert [job.jid for job in listed.jobs] == [1]


async def test_a_run_by_hand(api: ApiHarness) -> None:
    """A repeated request starts one job, and the schedule goes on."""
    await register(api)
    request = RunCronRequest(label="a", submit_id=uuid.uuid4().hex)

    started = [await api.use_cases.crons.crons.run(ACCOUNT, request) for _ in range(2)]

    assert [each.jid for each in started] == [1, 1]
    after = await info(api)
    assert (after.last_jid, after.last_due_at, after.next_at[0]) == (1, 0.0, HOUR)


async def test_a_run_that_cannot_be_submitted_says_why(api: ApiHarness) -> None:
    """The cron job goes on: the cause may be gone at the next time."""
    await register(api)
    record = await api.server.context.commits.view.fresh(layout.cron(ACCOUNT, "a"))
    options = replace(record.job.options, vols=["gone"])
    broken = replace(record, job=replace(record.job, options=options))

    async def damage(draft: Draft) -> None:
        await draft.fresh(layout.cron(ACCOUNT, "a"))
        draft.put(layout.cron(ACCOUNT, "a"), broken)

    await api.server.context.commits.run(damage)
    api.now = HOUR

    assert await start_due(api) == 2 * HOUR

    after = await info(api)
    assert "There is no volume 'gone'" in after.problem
    assert (after.last_jid, after.last_due_at) == (0, HOUR)


class TightState(RecordingState):
    """One whose transactions have room for the arguments of a job once, and not twice."""

    max_bytes: ClassVar[int] = 20_000


async def test_a_job_with_large_arguments(start_api: StartApi) -> None:
    """They are in its record, too: the job and the change of the record are two transactions."""
    api = await start_api(TightState)
    request = registration(api)
    data = pack.write([pack.seal(bytes(9_800))])
    part = PackPart(0, 1, Content("", len(data), data))
    job = replace(request.job, parts=[part])
    await api.use_cases.crons.crons.register(ACCOUNT, replace(request, job=job))
    api.now = HOUR

    assert await start_due(api) == 2 * HOUR

    after = await info(api)
    assert (after.last_jid, after.last_due_at, after.problem) == (1, HOUR, "")
    assert await start_due(api) == 2 * HOUR
    assert list(await api.submit(1)) == [2]


async def test_only_single_calls_are_cron_jobs(api: ApiHarness) -> None:
    """A map, or a job that waits for others, is refused."""
    one = registration(api)
    for job in (
        replace(one.job, kind="map"),
        replace(one.job, depends_on=[(1, 1)]),
        replace(one.job, parts=[]),
        replace(api.request(2), kind="call"),
    ):
        with pytest.raises(RequestRefused, match="one call without dependencies"):
            await api.use_cases.crons.crons.register(ACCOUNT, replace(one, job=job))


async def test_accounts_see_their_own_cron_jobs_only(api: ApiHarness) -> None:
    """The same label is another cron job in another account; a removed one is gone."""
    await register(api)
    crons = api.use_cases.crons.crons

    assert (await crons.list("a0000002")).crons == []
    for account in ("a0000002", ACCOUNT):
        if account == ACCOUNT:
            await crons.deregister(ACCOUNT, "a")
            assert await start_due(api) is None
        for refused in (crons.info, crons.deregister):
            with pytest.raises(CronNotFound, match="no cron job 'a'"):
                await refused(account, "a")


async def test_a_misspelt_label_gets_the_nearest_one(api: ApiHarness) -> None:
    """As in every message about a name that the account does not have."""
    await register(api, "nightly")

    with pytest.raises(CronNotFound, match=r"no cron job 'nigthly' .*; did you mean 'nightly'\?"):
        await api.use_cases.crons.crons.deregister(ACCOUNT, "nigthly")


async def test_the_last_jobs_of_many_are_read_together(start_api: StartApi) -> None:
    """However many they are: a listing of 1,000 cron jobs does not take 1,000 requests."""
    api = await start_api(SharedRecordingState)
    crons = api.use_cases.crons.crons
    for number in range(6):
        await register(api, f"c{number}")
        request = RunCronRequest(label=f"c{number}", submit_id=uuid.uuid4().hex)
        assert (await crons.run(ACCOUNT, request)).jid == number + 1
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 3)])
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(3, 3)])
    await register(api, "unused")
    api.state.reads.clear()

    listed = (await crons.list(ACCOUNT)).crons

    assert [cron.last_status for cron in listed] == [
        "queued", "killed", "", "queued", "queued", "queued", "",
    ]  # fmt: skip
    assert listed[1] == await crons.info(ACCOUNT, "c1")
    pages = [read for read in api.state.reads if any(key.startswith("pages/") for key in read)]
    assert len(pages) <= 2, "one of them is of info"


async def test_a_long_listing_makes_way(api: ApiHarness) -> None:
    """Other requests go on while the next times of many schedules are computed."""
    count = 12
    for number in range(count):
        await register(api, f"c{number}", schedule=f"{number} 2 29 2 *")
    turns, rounds = api.server.context.turns, 0
    turns.slice_s = turns.allowed_s = 0.0
    listing = asyncio.create_task(api.use_cases.crons.crons.list(ACCOUNT))

    while not listing.done():
        await asyncio.sleep(0)
        rounds += 1

    assert len((await listing).crons) == count < rounds


async def test_the_blobs_of_a_cron_job_are_kept(api: ApiHarness) -> None:
    """It refers to its function and modules before it has any job."""
    request = registration(api)
    digests = {request.job.function.digest, "f" * 64}
    await api.use_cases.crons.crons.register(ACCOUNT, request)

    left = await api.use_cases.storage.sweep._references.unreferenced(ACCOUNT, digests)

    assert left == {"f" * 64}
