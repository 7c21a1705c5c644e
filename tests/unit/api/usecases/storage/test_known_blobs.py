"""The cache of known blobs: which ones the blob store is asked about, and how often."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

import msgspec
from picloud_api.store.blob_name import blob_name, digest_of
from picloud_api.usecases.storage.known_blobs import KNOWN_S, KnownBlobs
from picloud_model.wire import Manifest, Module

if TYPE_CHECKING:
    from collections.abc import Sequence


A, B, C = (letter * 64 for letter in "abc")
ACCOUNT = "a0000001"


class RecordingBlobs:
    """A blob store that records which digests it is asked about, and which are kept."""

    def __init__(self, *stored: str) -> None:
        self.stored = dict.fromkeys(stored, b"")
        self.queried: list[str] = []
        self.kept: list[str] = []
        self.read: list[str] = []
        self.now = 1000.0

    async def missing(self, names: Sequence[str]) -> list[str]:
        digests = [digest_of(name) for name in names]
        self.queried += digests
        return [blob_name(ACCOUNT, digest) for digest in digests if digest not in self.stored]

    async def get(self, name: str, start: int, end: int) -> bytes:
        self.read.append(digest_of(name))
        return self.stored[digest_of(name)][start:end]

    async def keep(self, account: str, digests: Sequence[str]) -> None:
        assert account == ACCOUNT
        self.kept += digests

    async def query(self, digests: Sequence[str], bundle: str = "") -> list[str]:
        """Ask the cache about digests."""
        return await self.known.missing(ACCOUNT, digests, bundle)

    @functools.cached_property
    def known(self) -> KnownBlobs:
        """The cache over this store."""
        return KnownBlobs(cast("Any", self), cast("Any", self), lambda: self.now)


async def test_the_store_is_not_asked_again_about_a_blob_within_a_minute() -> None:
    """Each call of a function names its modules; the blob store is asked at the first."""
    store = RecordingBlobs(A, B)

    assert await store.query([A, B]) == []
    assert await store.query([B, A]) == []
    store.now += KNOWN_S - 1
    assert await store.query([A]) == []

    assert store.queried == store.kept == [A, B]


async def test_the_store_is_asked_about_a_missing_blob_each_time() -> None:
    """A blob that was sent after it was reported missing is found at once."""
    store = RecordingBlobs(A)
    assert await store.query([C, A]) == [C]

    store.stored[C] = b""

    assert await store.query([C, A]) == []
    assert store.queried == [C, A, C]


async def test_after_a_minute_the_store_is_asked_again() -> None:
    """The removal of a blob is noticed, and one that is there is kept again."""
    store = RecordingBlobs(A, B)
    await store.query([A, B])
    del store.stored[A]

    store.now += KNOWN_S

    assert await store.query([A, B]) == [A]
    assert store.kept == [A, B, A, B]


async def test_the_modules_of_a_bundle_are_asked_about() -> None:
    """A client that has sent them long ago only names the bundle."""
    store = RecordingBlobs(A, B)
    store.stored[B] = msgspec.msgpack.encode(Manifest([Module("m.py", A), Module("n.py", C)]))

    assert await store.query([B], B) == [C]

    assert store.kept == [B, A, C]


async def test_a_bundle_is_read_once() -> None:
    """Its digest determines its modules, which are asked about again after a minute."""
    store = RecordingBlobs(A, B)
    store.stored[B] = msgspec.msgpack.encode(Manifest([Module("m.py", A)]))

    for _ in range(3):
        assert await store.query([B], B) == []
        store.now += KNOWN_S

    assert store.read == [B]
    assert store.queried == [B, A] * 3


async def test_a_blob_that_was_kept_and_then_stored_is_not_asked_about() -> None:
    """The first call of a program stores its modules, and names them right after."""
    store = RecordingBlobs(A, B)
    await store.known.keep(ACCOUNT, [A, B])

    store.known.stored(ACCOUNT, A)
    store.known.stored(ACCOUNT, C)

    assert await store.query([A, B, C]) == [C]
    assert store.queried == store.kept[2:] == [B, C]


async def test_the_modules_of_a_bundle_that_was_stored_are_asked_about() -> None:
    """A new bundle may name modules that its client sent days ago."""
    store = RecordingBlobs(A, B)
    store.stored[B] = msgspec.msgpack.encode(Manifest([Module("m.py", A), Module("n.py", C)]))
    await store.known.keep(ACCOUNT, [B, A])
    store.known.stored(ACCOUNT, B)
    store.known.stored(ACCOUNT, A)

    assert await store.query([B], B) == [C]
    assert await store.query([B], B) == [C]
    store.stored[C] = b""
    assert await store.query([B], B) == []

    assert store.queried == [C, C, C]
    assert store.read == [B]


async def test_what_was_kept_long_ago_is_kept_again() -> None:
    """Whatever was stored since may be about to be deleted."""
    store = RecordingBlobs(A)
    await store.known.keep(ACCOUNT, [A])
    store.now += KNOWN_S

    store.known.stored(ACCOUNT, A)

    assert await store.query([A]) == []
    assert store.queried == [A]
