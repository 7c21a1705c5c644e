"""Dictionaries that an account shares."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from picloud_model.wire import Answer
from picloud_model.wire import dictionary as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.wire.lock import HeldLock

    from cloud._http.transport import Transport


class DictClient:
    """Reads and changes the entries of a dictionary.

    Args:
        transport: Sends requests.
        name: The name of the dictionary.
    """

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport = transport
        self._name = name

    def set(
        self,
        key: str,
        value: bytes | None,
        envelope: Envelope,
        version: int | None,
        lock: HeldLock | None,
    ) -> wire.EntrySet:
        """Store a value; None makes the entry empty."""
        body = wire.SetEntryRequest(
            name=self._name,
            key=key,
            change=uuid.uuid4().hex,
            envelope=envelope,
            value=value,
            version=version,
            lock=lock,
        )
        return self._transport.post("/v1/dicts", body, wire.EntrySet)

    def get(self, key: str, version: int | None = None, hold_s: float = 0.0) -> wire.EntryRead:
        """Return an entry; with a version wait until it has another one."""
        body = wire.EntryRequest(name=self._name, key=key, version=version, timeout_s=hold_s)
        return self._transport.poll("/v1/dicts/get", body, wire.EntryRead, hold_s)

    def entries(self, *, with_values: bool) -> Iterator[wire.ListedEntry]:
        """Yield all entries, a page at a time."""
        after = ""
        while True:
            body = wire.EntriesRequest(name=self._name, with_values=with_values, after=after)
            page = self._transport.post("/v1/dicts/entries", body, wire.EntriesListed)
            yield from page.entries
            if not (after := page.after):
                return

    def empty(
        self, key: str, envelope: Envelope, version: int | None, lock: HeldLock | None
    ) -> wire.EntrySet:
        """Make an entry empty, and delete it."""
        done = self.set(key, None, envelope, version, lock)
        if done.is_set and done.version:
            self._delete(done.version, key)
        return done

    def clear(self) -> None:
        """Delete all entries that there are now."""
        versions = [each.version for each in self.entries(with_values=False)]
        if versions:
            self._delete(max(versions))

    def _delete(self, version: int, key: str | None = None) -> None:
        body = wire.RemoveEntryRequest(name=self._name, version=version, key=key)
        self._transport.post("/v1/dicts/remove", body, Answer)


def list_dicts(transport: Transport) -> Sequence[wire.ListedDict]:
    """Return the dictionaries of the account, by name."""
    return transport.post("/v1/dicts/list", wire.DictsRequest(), wire.DictsListed).dicts
