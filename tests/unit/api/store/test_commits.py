"""Group commit: what waits together is one transaction, and a conflict plans once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.commits import CHANGE_LOG_EVENTS, MAX_CONFLICTS, CommitGroup, Commits
from picloud_api.store.records import ChangeLog, Event, EventKind
from picloud_api.store.view import View
from picloud_driver.state import Put
from picloud_driver.state.sqlite import SqliteState
from picloud_model.errors import TooLarge, Unavailable

from tests.polling import eventually
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from picloud_api.store.draft import Draft

COUNTER = layout.next_jid("a1")


async def count(draft: Draft) -> int:
    """Count one further, from what is stored."""
    value = (await draft.get(COUNTER) or 0) + 1
    draft.put(COUNTER, value)
    return int(value)


@pytest.fixture
def state(tmp_path: Path) -> SharedRecordingState:
    """A state store that other processes write to."""
    return SharedRecordingState(tmp_path / "state.sqlite")


@pytest.fixture
def commits(state: SharedRecordingState) -> Commits:
    """The commits of a process that is alone."""
    return Commits(View(state), "p1")


async def test_changes_that_wait_together_are_one_transaction(
    state: SharedRecordingState, commits: Commits
) -> None:
    """Each sees what the ones before it will have written."""
    numbers = await asyncio.gather(*(commits.run(count) for _ in range(5)))

    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert len(state.commits) < 5
    assert commits.transactions == len(state.commits)


async def test_a_change_that_follows_a_commit_shares_the_next_transaction(
    state: SharedRecordingState, commits: Commits
) -> None:
    """What a caller changes next, when its change is committed, does not wait for a transaction in
    between, though other changes have waited for this one.
    """
    is_done = asyncio.Event()
    state.before_commit = is_done.wait

    async def change_twice() -> list[int]:
        return [await commits.run(count) for _ in range(2)]

    first = asyncio.create_task(change_twice())
    await eventually(lambda: state.commits, "a transaction is under way")
    others = asyncio.gather(*(commits.run(count) for _ in range(3)))
    await asyncio.sleep(0)
    is_done.set()

    assert await first == [1, 5]
    assert await others == [2, 3, 4]
    assert state.commits == [1, 1]


@pytest.mark.parametrize("shared", [True, False])
async def test_tasks_of_a_group_share_a_transaction(tmp_path: Path, *, shared: bool) -> None:
    """Each waits for the others; one that ends without a change is not waited for."""
    state = (SharedRecordingState if shared else RecordingState)(tmp_path / "state.sqlite")
    commits = Commits(View(state), "p1")
    group = CommitGroup(commits, 4, patience_s=60.0)

    async def task(number: int) -> int:
        with group.member() as commit:
            for _ in range(number):
                await asyncio.sleep(0)
            if number == 3:
                return 0
            return await commit(count)

    numbers = await asyncio.gather(*map(task, range(4)))

    assert sorted(numbers) == [0, 1, 2, 3]
    assert len(state.commits) == 1
    await state.close()


async def test_a_slow_task_of_a_group_is_not_waited_for(commits: Commits) -> None:
    """It commits its change alone."""
    group = CommitGroup(commits, 2, patience_s=0.01)
    is_committed = asyncio.Event()

    async def slow() -> int:
        with group.member() as commit:
            await is_committed.wait()
            return await commit(count)

    async def quick() -> int:
        with group.member() as commit:
            value = await commit(count)
            is_committed.set()
            return value

    assert await asyncio.gather(slow(), quick()) == [2, 1]


async def test_a_conflict_plans_once_more(state: SharedRecordingState, commits: Commits) -> None:
    """Another process was faster: what it wrote is read, and counts."""
    await commits.run(count)
    await state.commit([Put(COUNTER, layout.encode(40))])

    assert await commits.run(count) == 41


async def test_a_change_that_always_conflicts_fails(
    state: SharedRecordingState, commits: Commits
) -> None:
    """A client gets an error it may retry, instead of no answer."""
    await commits.run(count)
    state.commits.clear()

    async def be_faster() -> None:
        await SqliteState.commit(state, [Put(COUNTER, layout.encode(100))])

    state.before_commit = be_faster
    with pytest.raises(Unavailable, match="too busy"):
        await commits.run(count)

    assert len(state.commits) == MAX_CONFLICTS


async def test_a_plan_that_fails_does_not_harm_the_others(commits: Commits) -> None:
    """Nothing of it is committed, and its caller gets the exception."""

    async def fail(draft: Draft) -> None:
        draft.put(COUNTER, 1000)
        raise KeyError

    results = await asyncio.gather(
        commits.run(count), commits.run(fail), commits.run(count), return_exceptions=True
    )

    assert [type(each) for each in results] == [int, KeyError, int]
    assert await commits.view.get(COUNTER) == 2


async def test_a_group_that_is_too_large_is_halved(
    state: SharedRecordingState, commits: Commits
) -> None:
    """A change that is too large alone is refused; together they are not."""

    def write(number: int, keys: int) -> Awaitable[None]:
        async def plan(draft: Draft) -> None:
            for key in range(keys):
                draft.create(layout.next_jid(f"a{number}-{key}"), 1)

        return commits.run(plan)

    half = state.max_operations // 2
    await asyncio.gather(*(write(number, half) for number in range(5)))

    assert sum(state.commits) == 5 * half
    with pytest.raises(TooLarge):
        await write(9, state.max_operations + 1)


async def test_events_are_passed_on_after_the_commit(commits: Commits) -> None:
    """Callers get their answers, and callbacks run, only for what is committed."""
    seen: list[str] = []
    commits.listen(lambda event: seen.append(event.batch))

    async def plan(draft: Draft) -> None:
        await count(draft)
        draft.emit(Event(EventKind.READY, "a1", "b1"))
        draft.on_commit(lambda: seen.append("committed"))
        assert seen == []

    await commits.run(plan)

    assert seen == ["committed", "b1"]


async def emit(commits: Commits, number: int) -> None:
    """Commit a change with an event."""

    async def plan(draft: Draft) -> None:
        await count(draft)
        draft.emit(Event(EventKind.READY, "a1", f"b{number}"))

    await commits.run(plan)


async def test_a_process_with_others_writes_its_change_log(
    state: SharedRecordingState, commits: Commits
) -> None:
    """In the same transaction. A process that is alone counts its changes, and writes nothing."""
    await emit(commits, 0)
    assert await state.scan(ChangeLog.prefix) == []

    commits.alone = False
    for number in range(1, CHANGE_LOG_EVENTS + 1):
        await emit(commits, number)

    (entry,) = await state.scan(ChangeLog.prefix)
    log: ChangeLog = layout.decode(entry.key, entry.value)
    assert entry.key == layout.change_log("p1")
    assert log.count == CHANGE_LOG_EVENTS + 1
    assert [event.batch for event in log.events][:1] == ["b1"]
    assert len(log.events) == CHANGE_LOG_EVENTS
    assert commits.published == entry.version


async def test_a_cancelled_caller_does_not_cancel_the_others(
    state: SharedRecordingState, commits: Commits
) -> None:
    """A client that hangs up must not end the transaction of another one."""
    reached, released = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await released.wait()

    state.before_commit = hold
    first, second = (asyncio.create_task(commits.run(count)) for _ in range(2))
    await reached.wait()

    first.cancel()
    released.set()

    assert await second == 2


async def test_a_store_that_goes_away_after_a_conflict_fails_the_change(
    state: SharedRecordingState, commits: Commits
) -> None:
    """The caller gets that error, instead of waiting forever; the next change is committed."""
    await commits.run(count)

    async def fail() -> None:
        state.before_read = None
        raise Unavailable("gone")

    async def change_first() -> None:
        state.before_commit = None
        await Commits(View(state), "p2").run(count)
        state.before_read = fail

    state.before_commit = change_first
    async with asyncio.timeout(10):
        with pytest.raises(Unavailable, match="gone"):
            await commits.run(count)
        assert await commits.run(count) == 3
