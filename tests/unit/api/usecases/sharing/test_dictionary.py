"""Dictionaries: versions that are used once, changes that are made once, and locks that fence."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from msgspec.structs import replace
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.records import Event, EventKind
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import Caller
from picloud_api.usecases.sharing.dictionary import (
    REMEMBERED,
    REMEMBERED_REMOVED,
    REMEMBERED_S,
    Dicts,
    EntryCounter,
    EntryRecord,
    RemovedChange,
    RemovedChanges,
)
from picloud_api.usecases.sharing.lock import HELD_S, LockHold, LockRecord
from picloud_model.errors import RequestConflict
from picloud_model.wire import LONGEST_POLL_S
from picloud_model.wire.dictionary import (
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    MAX_VALUE_BYTES,
    EntriesRequest,
    EntryRequest,
    EntrySet,
    RemoveEntryRequest,
    SetEntryRequest,
)
from picloud_model.wire.lock import (
    AcquireLockRequest,
    HeldLock,
    ReleaseLockRequest,
    RenewLocksRequest,
)

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, ENVELOPE
from tests.unit.api.passing_watchers import PassingWatchers
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_driver.state import StateEntry
    from picloud_model.wire.dictionary import EntryRead

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

OTHER = "a0000002"


@pytest.fixture
def dicts(api: ApiHarness) -> Dicts:
    """The use case."""
    return api.use_cases.sharing.dicts


def put(
    key: str,
    value: bytes | None,
    version: int | None = None,
    *,
    lock: HeldLock | None = None,
    name: str = "d",
) -> SetEntryRequest:
    """Return a request for a change of its own."""
    return SetEntryRequest(
        name=name, key=key, change=uuid4().hex, envelope=ENVELOPE, value=value, version=version,
        lock=lock,
    )  # fmt: skip


def wanted(key: str, version: int | None = None, timeout_s: float = 0.0) -> EntryRequest:
    """Return a request for an entry."""
    return EntryRequest(name="d", key=key, version=version, timeout_s=timeout_s)


def key_of(key: str) -> str:
    """Return the key of the store under which an entry is."""
    return f"{EntryRecord.prefix}{ACCOUNT}/d/{sha256(key.encode()).hexdigest()}"


async def keys_of(dicts: Dicts, *, with_values: bool = False) -> list[str]:
    """Return the keys of the dictionary, from as many replies as they take."""
    keys: list[str] = []
    after = ""
    while True:
        request = EntriesRequest(name="d", with_values=with_values, after=after)
        page = await dicts.entries(ACCOUNT, request)
        keys += [each.key for each in page.entries]
        if not (after := page.after):
            return sorted(keys)


def other_process(api: ApiHarness) -> Dicts:
    """Return the use case of another process over the same store, which publishes nothing."""
    context = replace(api.server.context, commits=Commits(View(api.state), "two"))
    return Dicts(context, api.use_cases.sharing.locks, api.use_cases.accounts.quota)


async def locked(api: ApiHarness, name: str = "l") -> HeldLock:
    """Take a lock."""
    request = AcquireLockRequest(name=name, hold=uuid4().hex)
    assert (await api.use_cases.sharing.locks.acquire(Caller(ACCOUNT), request)).fence
    return HeldLock(name, request.hold)


async def test_versions_grow_and_are_compared(dicts: Dicts) -> None:
    """Also over a removal: a version that was seen once never returns."""
    assert await dicts.set(ACCOUNT, put("a", b"1")) == EntrySet(version=1)
    assert await dicts.set(ACCOUNT, put("b", b"2", 0)) == EntrySet(version=2)
    assert await dicts.set(ACCOUNT, put("a", b"3", 2)) == EntrySet(version=1, is_set=False)
    assert await dicts.set(ACCOUNT, put("a", b"3", 1)) == EntrySet(version=3)
    assert (await dicts.get(ACCOUNT, wanted("a"))).value == b"3"

    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", key="a", version=1))
    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 3
    for _ in range(2):
        await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", key="a", version=3))
    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 0
    assert await dicts.set(ACCOUNT, put("a", b"4", 0)) == EntrySet(version=4)


async def test_a_change_that_is_sent_twice_is_made_once(dicts: Dicts) -> None:
    """Its second reply is that of the first, though another change has followed."""
    request = put("a", b"1", 0)
    first = await dicts.set(ACCOUNT, request)
    await dicts.set(ACCOUNT, put("a", b"2"))

    assert await dicts.set(ACCOUNT, request) == first
    assert (await dicts.get(ACCOUNT, wanted("a"))).value == b"2"


async def test_a_removal_that_is_sent_twice_is_made_once(dicts: Dicts) -> None:
    """What another one has stored meanwhile stays; what does not exist is not emptied."""
    await dicts.set(ACCOUNT, put("a", b"1"))
    request = put("a", None)
    first = await dicts.set(ACCOUNT, request)
    await dicts.set(ACCOUNT, put("a", b"2"))

    assert await dicts.set(ACCOUNT, request) == first
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", key="a", version=first.version))
    assert (await dicts.get(ACCOUNT, wanted("a"))).value == b"2"
    assert await dicts.set(ACCOUNT, put("b", None)) == EntrySet(version=0)


async def empty(dicts: Dicts, key: str, version: int | None = None) -> SetEntryRequest:
    """Remove a key as clients do, in two steps; return the request of the first."""
    request = put(key, None, version)
    done = await dicts.set(ACCOUNT, request)
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", key=key, version=done.version))
    return request


@pytest.mark.parametrize("is_set_again", [False, True])
async def test_a_removal_is_known_after_others_set_and_removed_the_key(
    dicts: Dicts, is_set_again: bool
) -> None:
    """Without that, a program whose reply was lost would lose the value that it popped."""
    await dicts.set(ACCOUNT, put("a", b"1"))
    popped = put("a", None, 1)
    first = await dicts.set(ACCOUNT, popped)
    await dicts.set(ACCOUNT, put("a", b"2"))
    await empty(dicts, "a")
    if is_set_again:
        await dicts.set(ACCOUNT, put("a", b"3", 0))
    before = await dicts.get(ACCOUNT, wanted("a"))

    assert await dicts.set(ACCOUNT, popped) == first
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", key="a", version=first.version))
    assert await dicts.get(ACCOUNT, wanted("a")) == before
    assert (await dicts.set(ACCOUNT, put("a", None, 1))).is_set is False


@pytest.mark.parametrize("is_cleared", [False, True])
async def test_a_value_that_others_removed_does_not_return(dicts: Dicts, is_cleared: bool) -> None:
    """Whether they removed the key or the dictionary: the change is not made a second time."""
    request = put("a", b"1")
    first = await dicts.set(ACCOUNT, request)
    if is_cleared:
        await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", version=first.version))
    else:
        await empty(dicts, "a")

    assert await dicts.set(ACCOUNT, request) == first
    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 0
    assert (await dicts.set(ACCOUNT, put("a", b"2"))).is_set


async def test_changes_of_deleted_entries_are_known_for_a_while(
    api: ApiHarness, dicts: Dicts
) -> None:
    """Each once, and a limited number, however many keys a program makes and removes."""
    oldest = put("a", b"1")
    await dicts.set(ACCOUNT, oldest)
    for _ in range(REMEMBERED_REMOVED):
        api.now += 0.001
        latest = await empty(dicts, "a")
        await dicts.set(ACCOUNT, put("a", b"2"))
    await empty(dicts, "a")
    view = api.server.context.commits.view

    async def known() -> list[RemovedChange]:
        removed: RemovedChanges
        (removed,) = (await view.scan(f"{RemovedChanges.prefix}{ACCOUNT}/")).values()
        return removed.removed

    ids = [each.change.id for each in await known()]
    assert len(ids) == len({*ids}) == REMEMBERED
    assert (oldest.change in ids, latest.change in ids) == (False, True)
    assert (await dicts.set(ACCOUNT, oldest)).is_set

    api.now += REMEMBERED_S + 1
    await empty(dicts, "a")
    assert len(await known()) == 1


async def test_what_another_process_has_deleted_is_known_here(start_api: StartApi) -> None:
    """It is only read where an entry is made: a change of one that exists reads that alone."""
    api = await start_api(SharedRecordingState)
    dicts = api.use_cases.sharing.dicts
    await dicts.set(ACCOUNT, put("a", b"1"))
    popped = put("a", None, 1)
    first = await dicts.set(ACCOUNT, popped)
    other = other_process(api)

    await other.set(ACCOUNT, put("a", b"2"))
    await empty(other, "a")

    assert await dicts.set(ACCOUNT, popped) == first
    await dicts.set(ACCOUNT, put("a", b"3"))
    api.state.reads.clear()
    await dicts.set(ACCOUNT, put("a", b"4"))
    assert not any(key.startswith("dict_changes/") for keys in api.state.reads for key in keys)


async def test_what_others_change_meanwhile_does_not_hide_a_change(
    api: ApiHarness, dicts: Dicts
) -> None:
    """Programs that count on a busy key are answered alike after a lost reply; later none asks."""
    request = put("a", b"1", 0)
    first = await dicts.set(ACCOUNT, request)
    for _ in range(REMEMBERED - 1):
        await dicts.set(ACCOUNT, put("a", b"2"))

    assert await dicts.set(ACCOUNT, request) == first
    api.now += REMEMBERED_S + 1
    await dicts.set(ACCOUNT, put("a", b"3"))
    entry: EntryRecord
    (entry,) = (await api.server.context.commits.view.scan(f"dicts/{ACCOUNT}/")).values()
    assert len(entry.changes) == 1


async def test_an_empty_entry_that_was_left_behind_makes_room(
    api: ApiHarness, dicts: Dicts
) -> None:
    """A program may die between the two steps of a removal; until then, it may ask again."""
    await dicts.set(ACCOUNT, put("a", b"1"))
    taken = put("a", None, 1)
    await dicts.set(ACCOUNT, taken)

    async def count(draft: Draft) -> None:
        draft.put(f"{EntryCounter.prefix}{ACCOUNT}", EntryCounter(2, MAX_ENTRIES, 0))

    await api.server.context.commits.run(count)
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", version=9))
    with pytest.raises(RequestConflict, match="remove some first"):
        await dicts.set(ACCOUNT, put("b", b"2"))
    assert (await dicts.set(ACCOUNT, taken)).is_set

    api.now += REMEMBERED_S + 1
    assert (await dicts.set(ACCOUNT, put("b", b"2"))).is_set
    assert len(await api.server.context.commits.view.scan(f"dicts/{ACCOUNT}/")) == 1


async def test_an_empty_entry_does_not_exist(dicts: Dicts) -> None:
    """It only says which of several took the value, until it is removed."""
    await dicts.set(ACCOUNT, put("a", b"1"))
    mine, other = put("a", None, 1), put("a", None, 1)
    assert await dicts.set(ACCOUNT, mine) == EntrySet(version=2)
    assert await dicts.set(ACCOUNT, other) == EntrySet(version=0, is_set=False)

    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 0
    assert await keys_of(dicts) == []
    assert (await dicts.list(ACCOUNT)).dicts == []
    assert (await dicts.set(ACCOUNT, put("a", b"3", 0))).is_set


async def test_entries_arrive_in_parts_and_go_together(api: ApiHarness, dicts: Dicts) -> None:
    """Large values end a reply; a dictionary is removed in several transactions."""
    keys = [f"k{number:02}" for number in range(40)]
    for key in keys:
        await dicts.set(ACCOUNT, put(key, bytes(MAX_VALUE_BYTES)))
    await dicts.set(ACCOUNT, put("x", b"1", name="other"))

    first = await dicts.entries(ACCOUNT, EntriesRequest(name="d", with_values=True))
    assert 0 < len(first.entries) < len(keys)
    assert await keys_of(dicts, with_values=True) == await keys_of(dicts) == keys
    listed = [(each.name, each.entries, each.size) for each in (await dicts.list(ACCOUNT)).dicts]
    assert listed == [("d", 40, 40 * MAX_VALUE_BYTES), ("other", 1, 1)]
    last = max(each.version for each in first.entries)
    await dicts.set(ACCOUNT, put("later", b"2"))
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", version=40))
    assert last <= 40
    assert await keys_of(dicts) == ["later"]
    await dicts.remove(ACCOUNT, RemoveEntryRequest(name="d", version=42))
    assert [each.name for each in (await dicts.list(ACCOUNT)).dicts] == ["other"]
    counter: EntryCounter = await api.server.context.commits.view.get(f"dict_versions/{ACCOUNT}")
    assert (counter.entries, counter.size) == (1, 1)


class CountingState(RecordingState):
    """It counts the entries that are read in order."""

    read = 0

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        entries = await super().scan(prefix, after, limit)
        self.read += len(entries)
        return entries


async def test_each_part_is_read_from_where_the_last_one_ended(start_api: StartApi) -> None:
    """A dictionary of 16 MiB is not read 16 times for its 16 replies."""
    api = await start_api(CountingState)
    for number in range(40):
        request = put(f"k{number:02}", bytes(MAX_VALUE_BYTES))
        await api.use_cases.sharing.dicts.set(ACCOUNT, request)
    api.state.read = 0

    assert len(await keys_of(api.use_cases.sharing.dicts, with_values=True)) == 40

    assert api.state.read < 2 * 40


async def test_accounts_see_their_own_dictionaries_only(dicts: Dicts) -> None:
    """The same name and key are another entry in another account."""
    await dicts.set(ACCOUNT, put("a", b"mine"))
    await dicts.remove(OTHER, RemoveEntryRequest(name="d", version=9))

    assert (await dicts.get(OTHER, wanted("a"))).version == 0
    assert (await dicts.list(OTHER)).dicts == []
    assert (await dicts.set(OTHER, put("a", b"theirs", 0))).is_set
    assert (await dicts.get(ACCOUNT, wanted("a"))).value == b"mine"


async def test_a_wait_ends_with_a_change(api: ApiHarness, dicts: Dicts) -> None:
    """Of that key: when it is set, set again, and removed; else with its timeout."""

    async def waiting(version: int) -> asyncio.Task[EntryRead]:
        task = asyncio.create_task(dicts.get(ACCOUNT, wanted("a", version, 20)))
        await asyncio.sleep(0)
        assert not task.done()
        return task

    task = await waiting(0)
    await dicts.set(ACCOUNT, put("b", b"other"))
    await dicts.set(ACCOUNT, put("a", b"1"))
    read = await task
    assert (read.value, read.envelope) == (b"1", ENVELOPE)
    task = await waiting(read.version)
    await dicts.set(ACCOUNT, put("a", b"2"))
    version = (await task).version
    task = await waiting(version)
    await dicts.set(ACCOUNT, put("a", None))
    assert (await task).version == 0

    task = await waiting(0)
    api.now += 30
    api.server.context.batch_watchers.wake_all()
    assert (await task).version == 0


async def test_a_wait_reads_its_key_twice(start_api: StartApi) -> None:
    """When it begins and when it ends, however long that is: events say what changes meanwhile."""
    api = await start_api(SharedRecordingState)
    context = replace(api.server.context, batch_watchers=PassingWatchers(api))
    dicts = Dicts(context, api.use_cases.sharing.locks, api.use_cases.accounts.quota)
    began = api.now
    api.state.reads.clear()

    read = await dicts.get(ACCOUNT, wanted("a", 0, LONGEST_POLL_S))

    assert (read.version, api.now) == (0, began + LONGEST_POLL_S)
    assert sum(keys == [key_of("a")] for keys in api.state.reads) == 2


async def test_a_wait_ends_with_a_change_of_another_process(start_api: StartApi) -> None:
    """The event of its change log wakes it; then the key is read once more."""
    api = await start_api(SharedRecordingState)
    task = asyncio.create_task(api.use_cases.sharing.dicts.get(ACCOUNT, wanted("a", 0, 20)))
    await eventually(lambda: api.server.context.batch_watchers.watched(key_of("a")), "it waits")
    await other_process(api).set(ACCOUNT, put("a", b"1"))

    event = Event(EventKind.KEY, ACCOUNT, key_of("a"))
    assert await api.server.background.events.on_remote_events([event])

    assert (await task).value == b"1"


async def test_a_change_that_is_sent_again_wakes_those_who_wait(
    api: ApiHarness, dicts: Dicts
) -> None:
    """The process learned from the second request that the first one's transaction was made."""
    task = asyncio.create_task(dicts.get(ACCOUNT, wanted("a", 0, 20)))
    await asyncio.sleep(0)
    request = put("a", b"1")
    with api.missed_events():
        await dicts.set(ACCOUNT, request)
    await asyncio.sleep(0)
    assert not task.done()

    await dicts.set(ACCOUNT, request)

    assert (await task).value == b"1"


async def test_a_write_needs_its_lock(api: ApiHarness, dicts: Dicts) -> None:
    """Released, taken by another one, not renewed, or never held: then nothing is written."""
    locks = api.use_cases.sharing.locks
    lock = await locked(api)
    assert (await dicts.set(ACCOUNT, put("a", b"1", lock=lock))).is_set
    await locks.release(ACCOUNT, ReleaseLockRequest(name=lock.name, hold=lock.hold))
    later = await locked(api)

    for stale in (lock, HeldLock("never", lock.hold)):
        with pytest.raises(RequestConflict, match="is no longer held by the program or job"):
            await dicts.set(ACCOUNT, put("a", b"stale", lock=stale))
        with pytest.raises(RequestConflict, match="is no longer held"):
            await dicts.set(ACCOUNT, put("a", None, lock=stale))
    assert (await dicts.get(ACCOUNT, wanted("a"))).value == b"1"
    await dicts.set(ACCOUNT, put("a", None, lock=later))
    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 0

    api.now += HELD_S + 1
    with pytest.raises(RequestConflict, match="is no longer held"):
        await dicts.set(ACCOUNT, put("a", b"paused", lock=later))
    assert (await locks.renew(ACCOUNT, RenewLocksRequest(locks=[later]))).lost == []
    assert (await dicts.set(ACCOUNT, put("a", b"awake", lock=later))).is_set


async def test_a_lock_that_is_taken_during_the_commit_fences(start_api: StartApi) -> None:
    """The record of the lock is part of the transaction, also if another process writes it."""
    api = await start_api(SharedRecordingState)
    dicts, lock = api.use_cases.sharing.dicts, await locked(api)
    other = Commits(View(api.state), "two")

    async def taken(draft: Draft) -> None:
        key = f"{LockRecord.prefix}{ACCOUNT}/{lock.name}"
        await draft.get(key)
        draft.put(key, LockRecord(1, [LockHold(uuid4().hex, 2, 0.0, api.now + 6)]))

    async def take() -> None:
        api.state.before_commit = None
        await other.run(taken)

    api.state.before_commit = take
    with pytest.raises(RequestConflict, match="is no longer held"):
        await dicts.set(ACCOUNT, put("a", b"stale", lock=lock))
    assert (await dicts.get(ACCOUNT, wanted("a"))).version == 0


async def test_an_account_has_so_many_entries(api: ApiHarness, dicts: Dicts) -> None:
    """What is there can be changed, made smaller and removed."""
    await dicts.set(ACCOUNT, put("a", b"12"))
    for counter in (EntryCounter(7, MAX_ENTRIES, 2), EntryCounter(8, 1, MAX_ENTRY_BYTES)):

        async def count(draft: Draft, counter: EntryCounter = counter) -> None:
            draft.put(f"{EntryCounter.prefix}{ACCOUNT}", counter)

        await api.server.context.commits.run(count)
        with pytest.raises(RequestConflict, match="10,000 entries and 16,777,216 bytes"):
            await dicts.set(ACCOUNT, put("b", b"1"))
        assert (await dicts.set(ACCOUNT, put("a", b"1"))).is_set
        await dicts.set(ACCOUNT, put("a", b"12"))


async def test_large_values_do_not_fill_the_memory(api: ApiHarness, dicts: Dicts) -> None:
    """What the server keeps in memory of them counts as what it is."""
    view = api.server.context.commits.view
    await dicts.set(ACCOUNT, put("a", b"1"))
    small = await view.cell(f"dict_versions/{ACCOUNT}")
    await dicts.set(ACCOUNT, put("a", bytes(50_000)))
    (key,) = await view.scan(f"dicts/{ACCOUNT}/")
    large = await view.cell(key)

    assert small is not None
    assert large is not None
    assert (small.weight < 1_000, large.weight > 50_000) == (True, True)


async def test_keys_have_any_characters(dicts: Dicts) -> None:
    """A key of the store has none of them."""
    for key in ("../x", "a/b", "ü", "*", "a b", "x" * 200):
        await dicts.set(ACCOUNT, put(key, key.encode()))
        assert (await dicts.get(ACCOUNT, wanted(key))).value == key.encode()

    assert "ü" in await keys_of(dicts)
    assert layout.encode(EntryCounter())
