"""Dictionaries: small values that jobs and programs of an account share, by name and key.

Each change gives its entry a new version, from a counter of the account, so that none is used
twice. What is written with a lock is stored in one transaction with the record of the lock: it is
refused once that is no longer held.

A key is removed in two steps: its entry is emptied by a change like any other, so that a repeated
request finds that it was made, and then deleted. An empty entry that a client has left behind is
deleted when the account has no room for another one. The changes of an entry that is deleted are
kept separately for a while: another program may set and remove a key before a request is repeated.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import RequestConflict
from picloud_model.pack import Envelope
from picloud_model.wire.dictionary import (
    MAX_ENTRIES,
    MAX_ENTRY_BYTES,
    MAX_PAGE_BYTES,
    DictsListed,
    EntriesListed,
    EntryRead,
    EntrySet,
    ListedDict,
    ListedEntry,
)

from picloud_api.store.records import Event, EventKind, NamedRecord, Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from picloud_model.wire.dictionary import (
        EntriesRequest,
        EntryRequest,
        RemoveEntryRequest,
        SetEntryRequest,
    )

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.quota import AccountQuota
    from picloud_api.usecases.sharing.lock import Locks

REMEMBERED: Final = 64
"""Most changes of an entry that are known if they are sent again."""
REMEMBERED_S: Final = 300.0
"""How long they are known: longer than a client repeats a request."""
REMEMBERED_REMOVED: Final = 128
"""Most changes of deleted entries that are known, in each of 16 parts of an account."""
_READ_TOGETHER: Final = 250
"""Entries that are read before other requests may go on."""
_AT_ONCE: Final = 16
"""Entries of a dictionary that are removed in one transaction."""


class EntryChange(Record, frozen=True):
    """A change of an entry, and the version that it gave it."""

    id: str
    version: int
    at: float = 0.0


class EntryRecord(NamedRecord, frozen=True, kw_only=True):
    """An entry, under the key `dicts/<account>/<name>/<digest of its key>`; empty without value."""

    prefix: ClassVar[str] = "dicts/"

    key: str
    version: int
    changes: list[EntryChange]
    envelope: Envelope
    value: bytes | None = None

    @property
    def size(self) -> int:
        """How many bytes its value has."""
        return len(self.value or b"")

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return 600 + self.size + 200 * len(self.changes)

    def is_left_behind(self, now: float) -> bool:
        """Whether it is empty, and so old that no client asks who emptied it."""
        return self.value is None and self.changes[-1].at < now - REMEMBERED_S


class RemovedChange(Record, frozen=True):
    """A change of an entry that was deleted since; `entry` is a digest of the entry's key."""

    entry: str
    change: EntryChange


class RemovedChanges(NamedRecord, frozen=True):
    """The latest changes of deleted entries whose keys end with the same hexadecimal digit."""

    prefix: ClassVar[str] = "dict_changes/"

    removed: list[RemovedChange]

    @property
    def weight(self) -> int:
        """About how many bytes it takes in memory."""
        return 600 + 400 * len(self.removed)

    def of(self, key: str, since: float) -> list[EntryChange]:
        """Return the changes of one entry since a time."""
        entry = _entry_digest(key)
        return [
            each.change for each in self.removed if each.entry == entry and each.change.at >= since
        ]

    def added(self, key: str, changes: Sequence[EntryChange], since: float) -> RemovedChanges:
        """Return it with all changes of an entry, and without those before a time."""
        entry = _entry_digest(key)
        others = [each for each in self.removed if each.entry != entry]
        removed = [*others, *(RemovedChange(entry, change) for change in changes)]
        latest = sorted(removed, key=lambda each: each.change.at)[-REMEMBERED_REMOVED:]
        return RemovedChanges([each for each in latest if each.change.at >= since])


class EntryCounter(NamedRecord, frozen=True):
    """The last version in an account, and how many entries it has with how many bytes."""

    prefix: ClassVar[str] = "dict_versions/"

    version: int = 0
    entries: int = 0
    size: int = 0


class Dicts:
    """The dictionaries of all accounts."""

    def __init__(self, context: Context, locks: Locks, quota: AccountQuota) -> None:
        self._commits = context.commits
        self._view = context.commits.view
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._turns = context.turns
        self._locks = locks
        self._quota = quota

    async def set(self, account: str, request: SetEntryRequest) -> EntrySet:
        """Store a value, if the entry has the version that the request names.

        Raises:
            RequestConflict: When the lock is not held, or the account has too many entries.
        """
        return await self._commits.run(partial(self._set, account=account, request=request))

    async def _set(self, draft: Draft, account: str, request: SetEntryRequest) -> EntrySet:
        key = _key(account, request.name, request.key)
        before: EntryRecord | None = await draft.fresh(key)
        if before is None:
            removed: RemovedChanges | None = await draft.fresh(_removed_key(account, key))
            changes = removed.of(key, self._since()) if removed is not None else []
        else:
            changes = before.changes
        for change in changes:
            if change.id == request.change:
                # If its transaction returned no reply, the requests that wait do not know of it.
                draft.emit(Event(EventKind.KEY, account, key))
                return EntrySet(version=change.version)
        version = _version(before)
        if request.version not in (None, version):
            return EntrySet(version=version, is_set=False)
        if request.lock is not None:
            await self._locks.require(draft, account, request.lock)
        if request.value is None and not version:
            return EntrySet(version=0)
        counter = await self._counted(draft, account, before, len(request.value or b""))
        known = [each for each in changes if each.at >= self._since()]
        known.append(EntryChange(request.change, counter.version, self._clock()))
        entry = EntryRecord(
            key=request.key,
            version=counter.version,
            changes=known[-REMEMBERED:],
            envelope=request.envelope,
            value=request.value,
        )
        draft.put(key, entry)
        draft.emit(Event(EventKind.KEY, account, key))
        return EntrySet(version=counter.version)

    async def _counted(
        self, draft: Draft, account: str, before: EntryRecord | None, size: int
    ) -> EntryCounter:
        """Count a change of an entry; refuse one that is too much."""
        key = f"{EntryCounter.prefix}{account}"
        last: EntryCounter = await draft.get(key) or EntryCounter()
        if before is None and last.entries >= MAX_ENTRIES:
            last = await self._without_empty(draft, account, last)
        entries = last.entries + (before is None)
        total = last.size + size - (before.size if before is not None else 0)
        if entries > MAX_ENTRIES or (total > MAX_ENTRY_BYTES and total > last.size):
            raise RequestConflict(
                f"The dictionaries of an account have {MAX_ENTRIES:,} entries and "
                f"{MAX_ENTRY_BYTES:,} bytes of values at most: remove some first, or use your "
                "bucket (cloud.bucket)."
            )
        counter = EntryCounter(last.version + 1, entries, total)
        draft.put(key, counter)
        return counter

    async def _without_empty(
        self, draft: Draft, account: str, counter: EntryCounter
    ) -> EntryCounter:
        """Delete some of the empty entries that were left behind; return the count without them."""
        now, deleted = self._clock(), 0
        found: dict[str, EntryRecord] = await self._view.scan(f"{EntryRecord.prefix}{account}/")
        for key in [key for key, entry in found.items() if entry.is_left_behind(now)][:_AT_ONCE]:
            entry: EntryRecord | None = await draft.get(key)
            if entry is not None and entry.is_left_behind(now):
                draft.delete(key)
                deleted += 1
        return EntryCounter(counter.version, counter.entries - deleted, counter.size)

    async def get(self, account: str, request: EntryRequest) -> EntryRead:
        """Return an entry; wait until it has another version than the request names.

        Raises:
            AccountBusy: When too many requests of the account wait.
        """
        key, deadline = _key(account, request.name, request.key), self._clock() + request.timeout_s
        if request.version is None:
            return _read(await self._view.fresh(key))
        with self._quota.waiting(account):
            entry = await self._watchers.until(
                key,
                lambda: self._view.fresh(key),
                lambda entry: _version(entry) != request.version,
                lambda: deadline - self._clock(),
            )
        return _read(entry)

    async def entries(self, account: str, request: EntriesRequest) -> EntriesListed:
        """Return the entries of a dictionary, those after a point, until the reply is large."""
        prefix = _prefix(account, request.name)
        after = f"{prefix}{request.after}" if request.after else ""
        listed: list[ListedEntry] = []
        room = MAX_PAGE_BYTES
        async with aclosing(self._stored(account, prefix, after)) as stored:
            async for key, entry in stored:
                if entry.value is None:
                    continue
                listed.append(_listed(entry, with_value=request.with_values))
                room -= entry.size if request.with_values else 0
                if room <= 0:
                    return EntriesListed(entries=listed, after=key.removeprefix(prefix))
        return EntriesListed(entries=listed)

    async def _stored(
        self, account: str, prefix: str, after: str = ""
    ) -> AsyncGenerator[tuple[str, EntryRecord]]:
        """Yield entries with their keys, in order; make way for other requests meanwhile."""
        async with self._turns.of(account) as turn:
            async for part in self._view.parts(prefix, after, _READ_TOGETHER):
                for key, entry in part.items():
                    yield key, entry
                await turn.pause()

    async def list(self, account: str) -> DictsListed:
        """Return the dictionaries of an account that have entries."""
        prefix = f"{EntryRecord.prefix}{account}/"
        counts, sizes = Counter[str](), Counter[str]()
        async for key, entry in self._stored(account, prefix):
            if entry.value is not None:
                name = key.removeprefix(prefix).partition("/")[0]
                counts[name] += 1
                sizes[name] += entry.size
        return DictsListed(
            dicts=[
                ListedDict(name=name, entries=counts[name], size=sizes[name])
                for name in sorted(counts)
            ]
        )

    async def remove(self, account: str, request: RemoveEntryRequest) -> None:
        """Delete an entry of a version, or all of a dictionary up to a version."""
        if request.key is not None:
            keys = [_key(account, request.name, request.key)]
        else:
            prefix = _prefix(account, request.name)
            keys = [key async for key, _ in self._stored(account, prefix)]
        for start in range(0, len(keys), _AT_ONCE):
            plan = partial(
                self._remove, account=account, keys=keys[start : start + _AT_ONCE], request=request
            )
            await self._commits.run(plan)

    async def _remove(
        self, draft: Draft, account: str, keys: Sequence[str], request: RemoveEntryRequest
    ) -> None:
        counter_key = f"{EntryCounter.prefix}{account}"
        for key in keys:
            entry: EntryRecord | None = await draft.fresh(key)
            if entry is None or not self._is_meant(entry, request):
                continue
            counter: EntryCounter = await draft.get(counter_key) or EntryCounter()
            left = EntryCounter(counter.version, counter.entries - 1, counter.size - entry.size)
            draft.put(counter_key, left)
            removed_key = _removed_key(account, key)
            removed: RemovedChanges = await draft.get(removed_key) or RemovedChanges([])
            draft.put(removed_key, removed.added(key, entry.changes, self._since()))
            draft.delete(key)
            draft.emit(Event(EventKind.KEY, account, key))

    def _since(self) -> float:
        """Return the time since which changes are known."""
        return self._clock() - REMEMBERED_S

    def _is_meant(self, entry: EntryRecord, request: RemoveEntryRequest) -> bool:
        if request.key is not None:
            return entry.version == request.version
        # The client that emptied an entry may still ask whether it did.
        is_empty = entry.value is None and not entry.is_left_behind(self._clock())
        return entry.version <= request.version and not is_empty


def _prefix(account: str, name: str) -> str:
    return f"{EntryRecord.prefix}{account}/{name}/"


def _key(account: str, name: str, key: str) -> str:
    # Keys of users may have any characters, and stores allow only some.
    return f"{_prefix(account, name)}{sha256(key.encode()).hexdigest()}"


def _removed_key(account: str, key: str) -> str:
    return f"{RemovedChanges.prefix}{account}/{key[-1]}"


def _entry_digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()[:16]


def _version(entry: EntryRecord | None) -> int:
    return entry.version if entry is not None and entry.value is not None else 0


def _read(entry: EntryRecord | None) -> EntryRead:
    if entry is None or entry.value is None:
        return EntryRead()
    return EntryRead(version=entry.version, value=entry.value, envelope=entry.envelope)


def _listed(entry: EntryRecord, *, with_value: bool) -> ListedEntry:
    value, envelope = (entry.value, entry.envelope) if with_value else (None, None)
    return ListedEntry(
        key=entry.key, version=entry.version, size=entry.size, value=value, envelope=envelope
    )
