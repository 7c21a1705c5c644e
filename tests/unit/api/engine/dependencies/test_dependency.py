"""Dependencies: jobs wait, are released or stalled; nothing of that is lost in a crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.store import layout
from picloud_api.store.records import Waiting
from picloud_model import wire
from picloud_model.errors import JobNotFound, TooLarge, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import seal, unseal

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.recording_state import BoundedState, SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


async def submit(api: ApiHarness, count: int, *jids: range, errors: str = "abort") -> range:
    """Submit a batch that depends on other jobs; return its jids."""
    asked = [(some[0], some[-1]) for some in jids]
    request = msgspec.structs.replace(
        api.request(count),
        depends_on=asked,
        depends_on_errors=errors,  # type: ignore[arg-type]
    )
    return await api.send(request)


async def run(api: ApiHarness, state: State = State.DONE, most: int = 10_000) -> list[int]:
    """Let a slot run what is queued, all jobs with the same end; return their jids in order."""
    slot = await api.slot()
    ran: list[int] = []
    while len(ran) < most and (leases := (await api.work(slot)).leases):
        ran += [lease.first + job.index for lease in leases for job in lease.jobs]
        reports = [_ended(lease, state) for lease in leases]
        await api.work(slot, reports=reports, lease=False, leaving=len(ran) >= most)
    await api.use_cases.slots.slots.remove(slot.number)
    return ran


def _ended(lease: wire.Lease, state: State) -> wire.Report:
    report = report_of(lease, state)
    if state is State.DONE:
        return report
    failure = wire.Failure(cause=int(Cause.EXCEPTION), message="ValueError: boom")
    payload = seal(wire.encode(failure))
    jobs = [
        msgspec.structs.replace(job, cause=int(Cause.EXCEPTION), payload=payload)
        for job in report.ended
    ]
    return wire.Report(report.batch, report.envelope, jobs)


async def turn(api: ApiHarness, jids: range, status: str) -> None:
    """Wait until all of these jobs have a status."""
    await api.wait_until(lambda: _all(api, jids), {status})


async def _all(api: ApiHarness, jids: range) -> set[str]:
    return set(await api.statuses(jids))


async def failure_of(api: ApiHarness, jid: int) -> wire.Failure:
    """Return the failure of a job."""
    outcome = (await api.outcomes(range(jid, jid + 1)))[jid]
    assert outcome.payload is not None
    return wire.decode(bytes(unseal(outcome.payload)), wire.Failure)


async def markers(api: ApiHarness) -> int:
    """Return how many batches wait, by the state store."""
    return len(await api.server.ports.state.scan(Waiting.prefix))


async def known(api: ApiHarness) -> None:
    """Wait until this process watches what one batch waits for."""
    watches = api.server.background.dependencies._watches
    await eventually(lambda: len(watches), "a job is watched")


async def test_a_job_waits_until_what_it_depends_on_is_done(api: ApiHarness) -> None:
    """The promise: "a job can be held in the queue until another job(s) has finished." """
    first = await api.submit(1)
    second = await submit(api, 1, first)
    assert await api.statuses(second) == ["waiting"]

    assert await run(api, most=1) == list(first)
    await turn(api, second, "queued")

    assert await run(api) == list(second)
    assert await api.statuses(second) == ["done"]
    assert await markers(api) == 0


async def test_all_of_them_must_be_done(api: ApiHarness) -> None:
    """A job that depends on a map and a call waits for the very last job of them."""
    many = await api.submit(2500)
    one = await api.submit(1)
    last = await submit(api, 3, many, one)

    ran: list[int] = []
    while len(ran) < 2501:
        assert await api.statuses(last) == ["waiting"] * 3
        ran += await run(api, most=1)
    await turn(api, last, "queued")

    assert sorted(ran) == [*many, *one]


async def test_jobs_that_are_done_already_hold_up_no_other(api: ApiHarness) -> None:
    """Dependencies that finished before the submit count as finished."""
    first = await api.submit(2)
    await run(api)

    second = await submit(api, 1, first)

    await turn(api, second, "queued")


@pytest.mark.parametrize("before", [True, False])
async def test_an_error_stalls_what_depends_on_it(api: ApiHarness, before: bool) -> None:
    """The promise: "By default, if job B depends on job A and job A errors, job B will never run
    and its status will be set to stalled." The reason names A and how it ended.
    """
    first = await api.submit(1)
    if before:
        await run(api, State.ERROR)

    second = await submit(api, 2, first)
    if not before:
        await run(api, State.ERROR)

    await turn(api, second, "stalled")
    failure = await failure_of(api, second[1])
    assert failure.cause == Cause.DEPENDENCY
    assert failure.message == (
        f"dependency failed: job {first[0]}, which this one depends on, ended in error "
        "(user exception): ValueError: boom"
    )
    assert await run(api) == []


async def test_one_error_among_many_stalls_at_once(api: ApiHarness) -> None:
    """The rest of a map of which one job failed is not waited for."""
    first = await api.submit(1)
    many = await api.submit(3000)
    last = await submit(api, 1, first, many)

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(many[2000], many[2000])])

    await turn(api, last, "stalled")
    assert (
        f"job {many[2000]}, which this one depends on, was killed"
        in (await failure_of(api, last[0])).message
    )


@pytest.mark.parametrize("payload", [b"", b"no parcel", seal(b"\x93\x01\xa1\xd1")])
async def test_a_failure_that_cannot_be_read_stalls_all_the_same(
    api: ApiHarness, payload: bytes
) -> None:
    """The child of a job may write anything: dependents are stalled, and say how the job ended."""
    (first,) = await api.submit(1)
    last = await submit(api, 1, range(first, first + 1))
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    report = report_of(lease, State.ERROR)
    (job,) = report.ended
    bad = msgspec.structs.replace(job, cause=int(Cause.EXCEPTION), payload=payload)
    await api.work(slot, reports=[msgspec.structs.replace(report, ended=[bad])], lease=False)

    await turn(api, last, "stalled")

    assert "ended in error (user exception)" in (await failure_of(api, last[0])).message
    wanted = wire.InfoRequest(jids=[(first, first)], keys=["exception"])
    assert (await api.use_cases.jobs.info.info(ACCOUNT, wanted)).jobs


@pytest.mark.parametrize("state", [State.ERROR, State.KILLED])
async def test_errors_can_be_ignored(api: ApiHarness, state: State) -> None:
    """The promise: "Errors can be ignored (allowing job B to run) by using the depends on errors
    setting."
    """
    first = await api.submit(3)
    second = await submit(api, 1, first, errors="ignore")

    if state is State.KILLED:
        await api.use_cases.jobs.kill.kill(ACCOUNT, [(first[0], first[1])])
        assert await api.statuses(second) == ["waiting"]
    await run(api, State.ERROR)

    await turn(api, second, "queued")


async def test_stalls_go_down_a_chain(api: ApiHarness) -> None:
    """What depends on a stalled job is stalled too, and names the job that failed first; a job that
    ignores errors runs.
    """
    chain = [await api.submit(1)]
    for _ in range(20):
        chain.append(await submit(api, 1, chain[-1]))
    ignorant = await submit(api, 1, chain[-1], errors="ignore")

    await run(api, State.ERROR, most=1)

    await turn(api, chain[-1], "stalled")
    assert (await failure_of(api, chain[-1][0])).message == (
        "dependency failed: job 20, which this one depends on, is stalled: job 1 ended in error "
        "(user exception): ValueError: boom"
    )
    await turn(api, ignorant, "queued")


async def test_a_chain_runs_in_its_order(api: ApiHarness) -> None:
    """Twenty jobs, each depending on the one before, run one after the other."""
    chain = [await api.submit(1)]
    for _ in range(19):
        chain.append(await submit(api, 1, chain[-1]))

    ran: list[int] = []
    while len(ran) < len(chain):
        ran += await run(api)

    assert ran == list(range(1, 21))


async def test_the_slot_that_ends_a_job_gets_the_one_that_waited_for_it(api: ApiHarness) -> None:
    """The answer to its report leases it, with the result, and all of that is one transaction."""
    first = await api.submit(1)
    second = await submit(api, 1, first)
    await known(api)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    report = report_of(lease)
    commits = api.server.context.commits
    before = commits.transactions

    (following,) = (await api.work(slot, reports=[report])).leases

    assert commits.transactions == before + 1
    assert following.first == second[0]
    assert following.results is not None
    (outcome,) = following.results.outcomes
    assert (outcome.jid, outcome.payload) == (first[0], report.ended[0].payload)


@pytest.mark.parametrize("count", [1, 3])
async def test_what_waits_in_the_queue_comes_before_what_is_released(
    api: ApiHarness, count: int
) -> None:
    """A chain does not keep other jobs of the account waiting."""
    first = await api.submit(1)
    second = await submit(api, count, first)
    await known(api)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    (other,) = await api.submit(1)

    (following,) = (await api.work(slot, reports=[report_of(lease)])).leases

    assert following.first == other
    await turn(api, second, "queued")


async def test_a_diamond(api: ApiHarness) -> None:
    """Two jobs depend on one, and one on both: it runs last, once."""
    top = await api.submit(1)
    left, right = await submit(api, 1, top), await submit(api, 1, top)
    bottom = await submit(api, 1, left, right)

    assert await run(api, most=1) == list(top)
    await turn(api, left, "queued")
    await turn(api, right, "queued")
    assert await api.statuses(bottom) == ["waiting"]
    await run(api, most=2)
    await turn(api, bottom, "queued")

    assert await run(api) == list(bottom)


async def test_waiting_jobs_can_be_killed(api: ApiHarness) -> None:
    """The promise: "Any job can be aborted [...]"; the rest of the batch goes on waiting."""
    first = await api.submit(1)
    some = await submit(api, 3, first)
    whole = await submit(api, 2, first)

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(some[1], some[1]), (whole[0], whole[1])])
    assert await api.statuses(some) == ["waiting", "killed", "waiting"]
    assert await api.statuses(whole) == ["killed", "killed"]
    assert await markers(api) == 1
    await run(api, most=1)

    await turn(api, range(some[2], some[2] + 1), "queued")
    assert await api.statuses(some) == ["queued", "killed", "queued"]
    assert await api.statuses(whole) == ["killed", "killed"]
    assert await run(api) == [some[0], some[2]]


async def test_killing_everything_ends_waiting_jobs(api: ApiHarness) -> None:
    """The promise: "If you pass no arguments into kill, all unfinished jobs are killed." """
    first = await api.submit(1)
    second = await submit(api, 1500, first)

    await api.use_cases.jobs.kill.kill(ACCOUNT, None)

    assert await _all(api, second) <= {"killed", "stalled"}


@pytest.mark.parametrize("unknown", [(2, 2), (1, 2), (10**9, 10**9)])
async def test_unknown_jobs_are_refused(api: ApiHarness, unknown: tuple[int, int]) -> None:
    """A submit that depends on a jid of another account, or on an unused one, makes no job."""
    await api.submit(1)
    request = msgspec.structs.replace(api.request(1), depends_on=[unknown])

    with pytest.raises(JobNotFound) as refused:
        await api.send(request)

    assert refused.value.field == "depends_on"
    assert await api.submit(1) == range(2, 3)


async def test_jobs_of_others_are_refused_like_missing_ones(api: ApiHarness) -> None:
    """A jid of another account is refused in the same words as an unused one."""
    await api.submit(1)
    request = msgspec.structs.replace(api.request(1), depends_on=[(1, 1)])

    with pytest.raises(JobNotFound, match="There is no job 1 in your account"):
        await api.use_cases.jobs.submit.submit("a0000002", request, b"")


async def test_too_many_ranges_are_refused(api: ApiHarness) -> None:
    """The state store holds the ranges, so there is a limit; the message says what to do."""
    jids = [(jid, jid) for jid in range(1, 30_000, 2)]
    await api.submit(30_000)
    request = msgspec.structs.replace(api.request(1), depends_on=jids)

    with pytest.raises(TooLarge, match="let one job depend on them"):
        await api.send(request)


async def test_ten_thousand_jids_cost_no_key_each(api: ApiHarness) -> None:
    """Dependencies on every second of 20,000 jids are one key, and so is a wait for all of them."""
    jids = await api.submit(20_000)
    keys = len(await everything(api))
    every_other = [(jid, jid) for jid in jids[::2]]
    scattered = msgspec.structs.replace(api.request(1), depends_on=every_other)

    await api.send(scattered)
    await submit(api, 1, jids)

    # Of each batch: header, page, pack, ready and waiting marker; and the index block they share.
    assert len(await everything(api)) <= keys + 11
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
    await turn(api, range(20_001, 20_003), "stalled")


async def test_what_is_depended_on_is_read_in_one_go(api: ApiHarness) -> None:
    """Dependencies on many batches that are not cached cost one read of the store."""
    jids = [(await api.submit(1))[0] for _ in range(50)]
    api.server.context.commits.view.forget_all()
    api.state.reads.clear()

    await submit(api, 1, range(jids[0], jids[-1] + 1))
    await submit(api, 1, range(jids[0], jids[-1] + 1))

    pages = [sum(map(layout.is_page, keys)) for keys in api.state.reads]
    assert [count for count in pages if count] == [50]


async def everything(api: ApiHarness) -> set[str]:
    """Return every key of the state store."""
    found: set[str] = set()
    after = ""
    while entries := await api.server.ports.state.scan("", after):
        found |= {entry.key for entry in entries}
        after = entries[-1].key
    return found


async def test_a_release_costs_one_transaction(api: ApiHarness) -> None:
    """A job that waits costs one transaction more than one that does not: that of its release."""
    commits = api.server.context.commits
    first = await api.submit(1)
    before = commits.transactions
    second = await submit(api, 1, first)
    assert commits.transactions - before == 1
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    before = commits.transactions

    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await turn(api, second, "queued")

    assert commits.transactions - before == 2


async def test_a_release_reads_its_pages_before_its_transactions(start_api: StartApi) -> None:
    """Commits of all accounts wait while one is planned: the pages of a map are read before, eight
    in a request.
    """
    api = await start_api(SharedRecordingState)
    first = await api.submit(1)
    many = await submit(api, 20_000, first)
    dependencies = api.server.background.dependencies
    await api.wait_until(lambda: _prerequisites(dependencies), 1)
    await api.wait_until(lambda: _is_idle(dependencies), True)
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    api.server.context.commits.view.forget_all()
    api.state.reads.clear()

    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await api.wait_until(lambda: markers(api), 0)

    pages = [sum(map(layout.is_page, keys)) for keys in api.state.reads]
    assert [count for count in pages if count > 1] == [8, 8, 4]
    assert await _all(api, many) == {"queued"}


async def test_a_map_of_released_jobs_wakes_a_slot(api: ApiHarness) -> None:
    """A slot that waits for work gets the released jobs at once."""
    first = await api.submit(1)
    second = await submit(api, 3, first)
    slot, other = await api.slot(), await api.slot()
    leases = (await api.work(slot)).leases
    waiting = asyncio.create_task(api.work(other, wait_s=10.0))
    await asyncio.sleep(0)

    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)

    assert (await waiting).leases[0].first == second[0]


async def test_stalled_jobs_of_a_page_share_one_failure(api: ApiHarness) -> None:
    """A large stalled map stores some bytes a job, not its message a thousand times."""
    first = await api.submit(1)
    many = await submit(api, 20_000, first)

    await run(api, State.ERROR, most=1)

    await turn(api, many, "stalled")
    packs = await api.server.ports.state.scan("packs/", limit=10_000)
    results = [entry for entry in packs if "/r" in entry.key]
    assert max(len(entry.value) for entry in results) < 1_000
    assert (await failure_of(api, many[-1])).cause == Cause.DEPENDENCY


@pytest.mark.parametrize("state", [State.DONE, State.ERROR])
@pytest.mark.parametrize(("commits", "kinds"), [(0, 1), (1, 2), (3, 2), (4, 1)])
async def test_a_server_that_dies_amid_a_release_goes_on_with_it(
    api: ApiHarness, commits: int, kinds: int, state: State
) -> None:
    """Killed after any of the four transactions of a release, it ends what it began."""
    first = await api.submit(1)
    many = await submit(api, 30_000, first)
    dependencies = api.server.background.dependencies
    with api.missed_events():
        await run(api, state, most=1)
    api.state.commits.clear()

    async def die_after() -> None:
        if len(api.state.commits) > commits:
            raise Unavailable

    api.state.before_commit = die_after
    with api.missed_events():
        await dependencies.recover()
        assert dependencies._task is not None
        await dependencies._task
    assert len(await _all(api, many)) == kinds
    await api.stop()
    await api.start()

    status = "queued" if state is State.DONE else "stalled"
    await turn(api, many, status)
    await api.wait_until(lambda: markers(api), 0)
    if state is State.DONE:
        assert (await api.work(await api.slot())).leases[0].first == many[0]


async def test_waiting_is_known_after_a_restart(api: ApiHarness) -> None:
    """A server that was restarted knows which jobs wait for which."""
    first = await api.submit(1)
    second = await submit(api, 2, first)
    third = await submit(api, 1, second)

    await api.stop()
    await api.start()
    assert await run(api, most=1) == list(first)
    await turn(api, second, "queued")
    await api.stop()
    await api.start()
    await run(api, most=2)

    await turn(api, third, "queued")


async def test_a_repeated_submit_waits_no_longer(api: ApiHarness) -> None:
    """A submit that is repeated after its jobs were released finds them as they are."""
    first = await api.submit(1)
    request = msgspec.structs.replace(api.request(70_000), depends_on=[(first[0], first[0])])
    jids = await api.send(request)
    await run(api, most=1)
    await turn(api, jids, "queued")

    assert await api.send(request) == jids
    await api.use_cases.jobs.submit.store_ahead(ACCOUNT, request)

    assert await _all(api, jids) == {"queued"}


async def test_missed_events_are_made_up_for(api: ApiHarness) -> None:
    """A process that received nothing for a while finds by a full look which jobs are released, too
    many for the transaction that ends the job, and which are stalled by one that is not watched.
    """
    first, many = await api.submit(1), await api.submit(2000)
    released = await submit(api, 1001, first)
    stalled = await submit(api, 1, many, first)
    dependencies = api.server.background.dependencies
    await api.wait_until(lambda: _prerequisites(dependencies), 2)
    await api.wait_until(lambda: _is_idle(dependencies), True)
    with api.missed_events():
        await run(api, most=1)
        await api.use_cases.jobs.kill.kill(ACCOUNT, [(many[1500], many[1500])])
    assert {*await api.statuses(released), *await api.statuses(stalled)} == {"waiting"}

    await api.server.background.events.resync()

    await turn(api, released, "queued")
    await turn(api, stalled, "stalled")


async def test_jobs_that_depend_on_the_same_are_evaluated_together(api: ApiHarness) -> None:
    """A hundred calls that wait for one map share one prerequisite, of which nothing is left."""
    many = await api.submit(2000)
    waiting = [await submit(api, 1, many) for _ in range(100)]
    whole = range(waiting[0][0], waiting[-1][-1] + 1)
    dependencies = api.server.background.dependencies
    await api.wait_until(lambda: _prerequisites(dependencies), 1)

    await run(api, most=2000)

    await turn(api, whole, "queued")
    await api.wait_until(lambda: _prerequisites(dependencies), 0)
    assert len(dependencies._watches) == 0
    assert dependencies._failing_fast == set()
    assert dependencies._known == {}


async def _is_idle(dependencies: Any) -> bool:
    """Whether it has nothing to do."""
    return bool(dependencies._task.done())


async def _prerequisites(dependencies: Any) -> int:
    return len(dependencies._prerequisites)


async def test_sealed_jobs_can_be_depended_on(start_api: StartApi) -> None:
    """They count as what they were. A batch that waits is not sealed."""
    api = await start_api(BoundedState)
    good = await api.submit(1500)
    await run(api)
    bad = await api.submit(1)
    await run(api, State.ERROR)
    blocked = await api.submit(1)
    waiting = await submit(api, 1, blocked)
    api.now += 3600
    await api.server.background.sealer.seal_finished()
    api.server.context.commits.view.forget_all()

    released, stalled = await submit(api, 1, good), await submit(api, 1, bad)

    await turn(api, released, "queued")
    await turn(api, stalled, "stalled")
    assert "ValueError: boom" in (await failure_of(api, stalled[0])).message
    assert await api.statuses(waiting) == ["waiting"]
    api.now += 3600
    await api.server.background.sealer.seal_finished()
    assert await api.statuses(stalled) == ["stalled"]
