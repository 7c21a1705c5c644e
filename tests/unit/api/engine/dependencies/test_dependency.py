"""Dependencies: who waits, who is released, who is stalled; nothing of it is lost in a crash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.store.records import Waiting
from picloud_driver.state.sqlite import SqliteState
from picloud_model import wire
from picloud_model.errors import JobNotFound, TooLarge, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import seal, unseal

from tests.unit.api.world import ACCOUNT, World, ended

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from picloud_driver.state import StateEntry


async def submit(world: World, count: int, *jids: range, errors: str = "abort") -> range:
    """A batch that depends on others."""
    asked = [(some[0], some[-1]) for some in jids]
    request = msgspec.structs.replace(
        world.request(count),
        depends_on=asked,
        depends_on_errors=errors,  # type: ignore[arg-type]
    )
    return await world.send(request)


async def run(world: World, state: State = State.DONE, most: int = 10_000) -> list[int]:
    """Let a slot run what is queued, all with the same end; answers the jids in their order."""
    slot = await world.slot()
    ran: list[int] = []
    while len(ran) < most and (leases := (await world.work(slot)).leases):
        ran += [lease.first + job.index for lease in leases for job in lease.jobs]
        reports = [_ended(lease, state) for lease in leases]
        await world.work(slot, reports=reports, lease=False, leaving=len(ran) >= most)
    await world.use_cases.slots.slots.remove(slot.number, lost=False)
    return ran


def _ended(lease: wire.Lease, state: State) -> wire.Report:
    report = ended(lease, state)
    if state is State.DONE:
        return report
    failure = wire.Failure(cause=int(Cause.EXCEPTION), message="ValueError: boom")
    payload = seal(wire.encode(failure))
    jobs = [
        msgspec.structs.replace(job, cause=int(Cause.EXCEPTION), payload=payload)
        for job in report.ended
    ]
    return wire.Report(report.batch, report.envelope, jobs)


async def turn(world: World, jids: range, status: str) -> None:
    """Wait until all of these have a status."""
    await world.until(lambda: _all(world, jids), {status})


async def _all(world: World, jids: range) -> set[str]:
    return set(await world.statuses(jids))


async def told(world: World, jid: int) -> wire.Failure:
    """What is said of a job that failed."""
    outcome = (await world.outcomes(range(jid, jid + 1)))[jid]
    assert outcome.payload is not None
    return wire.decode(bytes(unseal(outcome.payload)), wire.Failure)


async def markers(world: World) -> int:
    """How many batches wait, by the state store."""
    return len(await world.server.ports.state.scan(Waiting.prefix))


async def test_a_job_waits_until_what_it_depends_on_is_done(world: World) -> None:
    """The promise: "a job can be held in the queue until another job(s) has finished." """
    first = await world.submit(1)
    second = await submit(world, 1, first)
    assert await world.statuses(second) == ["waiting"]

    assert await run(world, most=1) == list(first)
    await turn(world, second, "queued")

    assert await run(world) == list(second)
    assert await world.statuses(second) == ["done"]
    assert await markers(world) == 0


async def test_all_of_them_must_be_done(world: World) -> None:
    """A job that depends on a map and a call waits for the very last of them."""
    many = await world.submit(2500)
    one = await world.submit(1)
    last = await submit(world, 3, many, one)

    ran: list[int] = []
    while len(ran) < 2501:
        assert await world.statuses(last) == ["waiting"] * 3
        ran += await run(world, most=1)
    await turn(world, last, "queued")

    assert sorted(ran) == [*many, *one]


async def test_jobs_that_are_done_already_hold_up_nobody(world: World) -> None:
    """Dependencies that finished before the submit count as finished."""
    first = await world.submit(2)
    await run(world)

    second = await submit(world, 1, first)

    await turn(world, second, "queued")


@pytest.mark.parametrize("before", [True, False])
async def test_an_error_stalls_who_depends_on_it(world: World, before: bool) -> None:
    """The promise: "By default, if job B depends on job A and job A errors, job B will never run
    and its status will be set to stalled." The reason names A and how it ended.
    """
    first = await world.submit(1)
    if before:
        await run(world, State.ERROR)

    second = await submit(world, 2, first)
    if not before:
        await run(world, State.ERROR)

    await turn(world, second, "stalled")
    failure = await told(world, second[1])
    assert failure.cause == Cause.DEPENDENCY
    assert failure.message == (
        f"dependency failed: job {first[0]}, which this one depends on, ended in error "
        "(user exception): ValueError: boom"
    )
    assert await run(world) == []


async def test_one_error_among_many_stalls_at_once(world: World) -> None:
    """Nobody waits for the rest of a map of which one job failed."""
    first = await world.submit(1)
    many = await world.submit(3000)
    last = await submit(world, 1, first, many)

    await world.use_cases.jobs.kill.kill(ACCOUNT, [(many[2000], many[2000])])

    await turn(world, last, "stalled")
    assert (
        f"job {many[2000]}, which this one depends on, was killed"
        in (await told(world, last[0])).message
    )


@pytest.mark.parametrize("payload", [b"", b"no parcel", seal(b"\x93\x01\xa1\xd1")])
async def test_a_failure_that_cannot_be_read_stalls_all_the_same(
    world: World, payload: bytes
) -> None:
    """What a job's child wrote may be anything: whoever depends on the job hears how it ended."""
    (first,) = await world.submit(1)
    last = await submit(world, 1, range(first, first + 1))
    slot = await world.slot()
    (lease,) = (await world.work(slot)).leases
    report = ended(lease, State.ERROR)
    (job,) = report.ended
    bad = msgspec.structs.replace(job, cause=int(Cause.EXCEPTION), payload=payload)
    await world.work(slot, reports=[msgspec.structs.replace(report, ended=[bad])], lease=False)

    await turn(world, last, "stalled")

    assert "ended in error (user exception)" in (await told(world, last[0])).message
    wanted = wire.InfoRequest(jids=[(first, first)], keys=["exception"])
    assert (await world.use_cases.jobs.info.info(ACCOUNT, wanted)).jobs


@pytest.mark.parametrize("state", [State.ERROR, State.KILLED])
async def test_errors_can_be_ignored(world: World, state: State) -> None:
    """The promise: "Errors can be ignored (allowing job B to run) by using the depends on errors
    setting."
    """
    first = await world.submit(3)
    second = await submit(world, 1, first, errors="ignore")

    if state is State.KILLED:
        await world.use_cases.jobs.kill.kill(ACCOUNT, [(first[0], first[1])])
        assert await world.statuses(second) == ["waiting"]
    await run(world, State.ERROR)

    await turn(world, second, "queued")


async def test_stalls_go_down_a_chain(world: World) -> None:
    """Whoever depends on a stalled job is stalled too; one who ignores errors runs."""
    chain = [await world.submit(1)]
    for _ in range(20):
        chain.append(await submit(world, 1, chain[-1]))
    ignorant = await submit(world, 1, chain[-1], errors="ignore")

    await run(world, State.ERROR, most=1)

    await turn(world, chain[-1], "stalled")
    assert (
        "job 20, which this one depends on, is stalled" in (await told(world, chain[-1][0])).message
    )
    await turn(world, ignorant, "queued")


async def test_a_chain_runs_in_its_order(world: World) -> None:
    """Twenty jobs, each depending on the one before, run one after the other."""
    chain = [await world.submit(1)]
    for _ in range(19):
        chain.append(await submit(world, 1, chain[-1]))

    ran: list[int] = []
    for jids in chain:
        await turn(world, jids, "queued")
        ran += await run(world)

    assert ran == list(range(1, 21))


async def test_a_diamond(world: World) -> None:
    """Two depend on one, one on both: it runs last, once."""
    top = await world.submit(1)
    left, right = await submit(world, 1, top), await submit(world, 1, top)
    bottom = await submit(world, 1, left, right)

    assert await run(world, most=1) == list(top)
    await turn(world, left, "queued")
    await turn(world, right, "queued")
    assert await world.statuses(bottom) == ["waiting"]
    await run(world, most=2)
    await turn(world, bottom, "queued")

    assert await run(world) == list(bottom)


async def test_waiting_jobs_can_be_killed(world: World) -> None:
    """The promise: "Any job can be aborted [...]"; the rest of the batch goes on waiting."""
    first = await world.submit(1)
    some = await submit(world, 3, first)
    whole = await submit(world, 2, first)

    await world.use_cases.jobs.kill.kill(ACCOUNT, [(some[1], some[1]), (whole[0], whole[1])])
    assert await world.statuses(some) == ["waiting", "killed", "waiting"]
    assert await world.statuses(whole) == ["killed", "killed"]
    assert await markers(world) == 1
    await run(world, most=1)

    await turn(world, range(some[2], some[2] + 1), "queued")
    assert await world.statuses(some) == ["queued", "killed", "queued"]
    assert await world.statuses(whole) == ["killed", "killed"]
    assert await run(world) == [some[0], some[2]]


async def test_killing_everything_ends_who_waits(world: World) -> None:
    """The promise: "If you pass no arguments into kill, all unfinished jobs are killed." """
    first = await world.submit(1)
    second = await submit(world, 1500, first)

    await world.use_cases.jobs.kill.kill(ACCOUNT, None)

    assert await _all(world, second) <= {"killed", "stalled"}


@pytest.mark.parametrize("unknown", [(2, 2), (1, 2), (10**9, 10**9)])
async def test_unknown_jobs_are_refused(world: World, unknown: tuple[int, int]) -> None:
    """A jid that is not the account's, or not yet anybody's, makes no job."""
    await world.submit(1)
    request = msgspec.structs.replace(world.request(1), depends_on=[unknown])

    with pytest.raises(JobNotFound) as refused:
        await world.send(request)

    assert refused.value.field == "depends_on"
    assert await world.submit(1) == range(2, 3)


async def test_jobs_of_others_are_refused_like_missing_ones(world: World) -> None:
    """Another account's jid says the same as one that never was."""
    await world.submit(1)
    request = msgspec.structs.replace(world.request(1), depends_on=[(1, 1)])

    with pytest.raises(JobNotFound, match="There is no job 1 in your account"):
        await world.use_cases.jobs.submit.submit("a0000002", request, b"")


async def test_too_many_ranges_are_refused(world: World) -> None:
    """Ranges lie in the state store, so there is a limit; the message says what to do."""
    jids = [(jid, jid) for jid in range(1, 30_000, 2)]
    await world.submit(30_000)
    request = msgspec.structs.replace(world.request(1), depends_on=jids)

    with pytest.raises(TooLarge, match="let one job depend on them"):
        await world.send(request)


async def test_ten_thousand_jids_cost_no_key_each(world: World) -> None:
    """Dependencies on every other of 20,000 jids are one key, and so is a wait for the whole."""
    jids = await world.submit(20_000)
    keys = len(await everything(world))
    every_other = [(jid, jid) for jid in jids[::2]]
    scattered = msgspec.structs.replace(world.request(1), depends_on=every_other)

    await world.send(scattered)
    await submit(world, 1, jids)

    # Of each batch: header, page, pack, ready and waiting marker; and the index block they share.
    assert len(await everything(world)) <= keys + 11
    await world.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
    await turn(world, range(20_001, 20_003), "stalled")


async def test_what_is_depended_on_is_read_in_one_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dependencies on many batches that a process does not know cost it one read of the store."""
    jids = [(await world.submit(1))[0] for _ in range(50)]
    view = world.server.context.commits.view
    view.forget_all()
    read: list[list[str]] = []
    get = view.state.get

    async def counted(keys: Sequence[str]) -> dict[str, StateEntry]:
        read.append([key for key in keys if key.startswith("pages/")])
        return await get(keys)

    monkeypatch.setattr(view.state, "get", counted)
    await submit(world, 1, range(jids[0], jids[-1] + 1))
    await submit(world, 1, range(jids[0], jids[-1] + 1))

    assert [len(pages) for pages in read if pages] == [50]


async def everything(world: World) -> set[str]:
    """Every key of the state store."""
    found: set[str] = set()
    after = ""
    while entries := await world.server.ports.state.scan("", after):
        found |= {entry.key for entry in entries}
        after = entries[-1].key
    return found


async def test_a_release_costs_one_transaction(world: World) -> None:
    """A job that waits costs one transaction more than one that does not: that of its release."""
    commits = world.server.context.commits
    first = await world.submit(1)
    before = commits.transactions
    second = await submit(world, 1, first)
    assert commits.transactions - before == 1
    slot = await world.slot()
    leases = (await world.work(slot)).leases
    before = commits.transactions

    await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)
    await turn(world, second, "queued")

    assert commits.transactions - before == 2


async def test_a_map_of_released_jobs_wakes_a_slot(world: World) -> None:
    """A slot that waits for work gets the released jobs at once."""
    first = await world.submit(1)
    second = await submit(world, 3, first)
    slot, other = await world.slot(), await world.slot()
    leases = (await world.work(slot)).leases
    waiting = asyncio.create_task(world.work(other, wait_s=10.0))
    await asyncio.sleep(0)

    await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)

    assert (await waiting).leases[0].first == second[0]


async def test_stalled_jobs_of_a_page_share_one_failure(world: World) -> None:
    """A large map that is stalled takes some bytes a job, not its message a thousand times."""
    first = await world.submit(1)
    many = await submit(world, 20_000, first)

    await run(world, State.ERROR, most=1)

    await turn(world, many, "stalled")
    packs = await world.server.ports.state.scan("packs/", limit=10_000)
    results = [entry for entry in packs if "/r" in entry.key]
    assert max(len(entry.value) for entry in results) < 1_000
    assert (await told(world, many[-1])).cause == Cause.DEPENDENCY


@pytest.mark.parametrize("state", [State.DONE, State.ERROR])
@pytest.mark.parametrize(("commits", "kinds"), [(0, 1), (1, 2), (3, 2), (4, 1)])
async def test_a_server_that_dies_amid_a_release_goes_on_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch, commits: int, kinds: int, state: State
) -> None:
    """Killed after any of the four transactions of a release, it ends what it began."""
    first = await world.submit(1)
    many = await submit(world, 30_000, first)
    dependencies = world.server.background.dependencies
    monkeypatch.setattr(dependencies, "on_event", lambda _signal: None)
    await run(world, state, most=1)
    commit, left = SqliteState.commit, commits

    async def dying(self: SqliteState, operations: Any) -> Any:
        nonlocal left
        if not left:
            raise Unavailable
        left -= 1
        return await commit(self, operations)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteState, "commit", dying)
        await dependencies.recover()
        await dependencies._task
    assert len(await _all(world, many)) == kinds
    await world.stop()
    await world.start()

    status = "queued" if state is State.DONE else "stalled"
    await turn(world, many, status)
    await world.until(lambda: markers(world), 0)
    if state is State.DONE:
        assert (await world.work(await world.slot())).leases[0].first == many[0]


async def test_waiting_is_known_after_a_restart(world: World) -> None:
    """A server that starts anew knows who waits for whom."""
    first = await world.submit(1)
    second = await submit(world, 2, first)
    third = await submit(world, 1, second)

    await world.stop()
    await world.start()
    assert await run(world, most=1) == list(first)
    await turn(world, second, "queued")
    await world.stop()
    await world.start()
    await run(world, most=2)

    await turn(world, third, "queued")


async def test_a_repeated_submit_waits_no_longer(world: World) -> None:
    """A submit that is repeated after its jobs were released finds them as they are."""
    first = await world.submit(1)
    request = msgspec.structs.replace(world.request(70_000), depends_on=[(first[0], first[0])])
    jids = await world.send(request)
    await run(world, most=1)
    await turn(world, jids, "queued")

    assert await world.send(request) == jids
    await world.use_cases.jobs.submit.store_ahead(ACCOUNT, request)

    assert await _all(world, jids) == {"queued"}


async def test_signals_that_were_missed_are_made_up_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that heard nothing for a while finds by a full look who is to be released, and who
    is stalled by a job that nobody watched.
    """
    first, many = await world.submit(1), await world.submit(2000)
    released = await submit(world, 1, first)
    stalled = await submit(world, 1, many, first)
    dependencies = world.server.background.dependencies
    await world.until(lambda: _prerequisites(dependencies), 2)
    await world.until(lambda: _rests(dependencies), True)
    with monkeypatch.context() as patch:
        patch.setattr(dependencies, "on_event", lambda _signal: None)
        await run(world, most=1)
        await world.use_cases.jobs.kill.kill(ACCOUNT, [(many[1500], many[1500])])
    assert await world.statuses(released) == await world.statuses(stalled) == ["waiting"]

    await world.server.background.events.resync()

    await turn(world, released, "queued")
    await turn(world, stalled, "stalled")


async def test_jobs_that_depend_on_the_same_are_judged_together(world: World) -> None:
    """A hundred calls that wait for one map are one prerequisite; nothing of it stays."""
    many = await world.submit(2000)
    waiting = [await submit(world, 1, many) for _ in range(100)]
    whole = range(waiting[0][0], waiting[-1][-1] + 1)
    dependencies = world.server.background.dependencies
    await world.until(lambda: _prerequisites(dependencies), 1)

    await run(world, most=2000)

    await turn(world, whole, "queued")
    await world.until(lambda: _prerequisites(dependencies), 0)
    assert len(dependencies._watches) == 0
    assert dependencies._failing_fast == set()
    assert dependencies._known == {}


async def _rests(dependencies: Any) -> bool:
    """Whether it does nothing just now."""
    return bool(dependencies._task.done())


async def _prerequisites(dependencies: Any) -> int:
    return len(dependencies._prerequisites)


async def test_sealed_jobs_can_be_depended_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs whose pages were moved into blobs count as what they were; a batch that waits is not."""
    monkeypatch.setattr(SqliteState, "bounded", True)
    world = await World(tmp_path).start()
    good = await world.submit(1500)
    await run(world)
    bad = await world.submit(1)
    await run(world, State.ERROR)
    blocked = await world.submit(1)
    waiting = await submit(world, 1, blocked)
    world.now += 3600
    await world.server.background.sealer.seal_finished()
    world.server.context.commits.view.forget_all()

    released, stalled = await submit(world, 1, good), await submit(world, 1, bad)

    await turn(world, released, "queued")
    await turn(world, stalled, "stalled")
    assert "ValueError: boom" in (await told(world, stalled[0])).message
    assert await world.statuses(waiting) == ["waiting"]
    world.now += 3600
    await world.server.background.sealer.seal_finished()
    assert await world.statuses(stalled) == ["stalled"]
    await world.stop()
