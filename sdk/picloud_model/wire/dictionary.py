"""Dictionaries: requests and answers about small values that an account shares by key."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.pack import Envelope
from picloud_model.wire.body import Answer, Request, Timeout
from picloud_model.wire.lock import HeldLock

MAX_VALUE_BYTES: Final = 64 * 1024
"""Largest value of a dictionary, pickled."""
MAX_ENTRIES: Final = 10_000
"""Most entries of all dictionaries of an account."""
MAX_ENTRY_BYTES: Final = 16 * 1024 * 1024
"""Largest size of all values of an account together."""
MAX_DICT_NAME: Final = 64
"""Longest name of a dictionary, in characters."""
MAX_DICT_KEY: Final = 200
"""Longest key in a dictionary, in characters."""
MAX_PAGE_BYTES: Final = 1024 * 1024
"""With so many bytes of values a reply ends, and the next request goes on."""

# `$` also matches before a line break at the end; max_length rules that out.
DictName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)", max_length=MAX_DICT_NAME)]
DictKey = Annotated[str, Meta(min_length=1, max_length=MAX_DICT_KEY)]
Version = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A number that grows with each change in the account; 0 of an entry that does not exist."""
ChangeId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""A UUID in hex that the client makes; it identifies one change, also if it is sent twice."""


class SetEntryRequest(Request, frozen=True):
    """Store a value under a key: `POST /v1/dicts`.

    With `version` only if the entry has that version. With `lock` only if that is still held when
    the value is stored. Without `value` the entry is empty, as if it did not exist: that is how a
    key is removed, and a request for its new version then deletes the entry.
    """

    name: DictName
    key: DictKey
    change: ChangeId
    envelope: Envelope
    value: Annotated[bytes, Meta(max_length=MAX_VALUE_BYTES)] | None = None
    version: Version | None = None
    lock: HeldLock | None = None


class EntrySet(Answer, frozen=True):
    """The version of an entry, 0 if there is none; without `is_set` it was not the expected one."""

    version: int
    is_set: bool = True


class EntryRequest(Request, frozen=True):
    """Return an entry: `POST /v1/dicts/get`.

    With `version` the reply waits, for `timeout_s` at most, until the entry has another one.
    """

    name: DictName
    key: DictKey
    version: Version | None = None
    timeout_s: Timeout = 0.0


class EntryRead(Answer, frozen=True):
    """An entry: its version, which is 0 if there is none, and its value, pickled."""

    version: int = 0
    value: bytes | None = None
    envelope: Envelope | None = None


class EntriesRequest(Request, frozen=True):
    """Return the entries of a dictionary: `POST /v1/dicts/entries`.

    `after` is what the reply before said; with it the next entries are returned.
    """

    name: DictName
    with_values: bool = False
    after: Annotated[str, Meta(max_length=64)] = ""


class ListedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a dictionary; its value if that was requested."""

    key: str
    version: int
    size: int
    value: bytes | None = None
    envelope: Envelope | None = None


class EntriesListed(Answer, frozen=True):
    """Entries of a dictionary; `after` is empty if there are no more."""

    entries: list[ListedEntry]
    after: str = ""


class RemoveEntryRequest(Request, frozen=True):
    """Delete an entry, if it has a version: `POST /v1/dicts/remove`.

    Without `key` all entries of the dictionary are deleted that have that version or a lower one.
    """

    name: DictName
    version: Version
    key: DictKey | None = None


class DictsRequest(Request, frozen=True):
    """List the dictionaries of an account: `POST /v1/dicts/list`."""


class ListedDict(msgspec.Struct, frozen=True, kw_only=True):
    """A dictionary: how many entries it has, and the bytes of their values."""

    name: str
    entries: int
    size: int


class DictsListed(Answer, frozen=True):
    """The dictionaries of an account, by name."""

    dicts: list[ListedDict]
