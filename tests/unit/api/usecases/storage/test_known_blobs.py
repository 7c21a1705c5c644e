"""The cache of known blobs: which ones the blob store is asked about, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from picloud_api.usecases.storage.known_blobs import KNOWN_S, KnownBlobs

if TYPE_CHECKING:
    from collections.abc import Sequence


class RecordingBlobs:
    """A blob store that records which names it is asked about."""

    def __init__(self, *stored: str) -> None:
        self.stored = set(stored)
        self.queried: list[str] = []
        self.now = 1000.0

    async def missing(self, names: Sequence[str]) -> list[str]:
        self.queried += names
        return [name for name in names if name not in self.stored]

    def known_blobs(self) -> KnownBlobs:
        """Return a cache over this store."""
        return KnownBlobs(cast("Any", self), lambda: self.now)


async def test_the_store_is_not_asked_again_about_a_blob_within_a_minute() -> None:
    """Each call of a function names its modules; the blob store is asked at the first."""
    store = RecordingBlobs("a", "b")
    known_blobs = store.known_blobs()

    assert await known_blobs.missing(["a", "b"]) == []
    assert await known_blobs.missing(["b", "a"]) == []
    store.now += KNOWN_S - 1
    assert await known_blobs.missing(["a"]) == []

    assert store.queried == ["a", "b"]


async def test_the_store_is_asked_about_a_missing_blob_each_time() -> None:
    """A blob that was sent after it was reported missing is found at once."""
    store = RecordingBlobs("a")
    known_blobs = store.known_blobs()
    assert await known_blobs.missing(["c", "a"]) == ["c"]

    store.stored.add("c")

    assert await known_blobs.missing(["c", "a"]) == []
    assert store.queried == ["c", "a", "c"]


async def test_after_a_minute_the_store_is_asked_again() -> None:
    """The removal of a blob is noticed."""
    store = RecordingBlobs("a")
    known_blobs = store.known_blobs()
    await known_blobs.missing(["a"])
    store.stored.clear()

    store.now += KNOWN_S

    assert await known_blobs.missing(["a"]) == ["a"]
