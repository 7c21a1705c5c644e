"""Which blobs are asked for, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from picloud_api.usecases.storage.known_blobs import KNOWN_S, Presence

if TYPE_CHECKING:
    from collections.abc import Sequence


class Store:
    """A blob store that notes what it is asked for."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)
        self.asked: list[str] = []
        self.now = 1000.0

    async def missing(self, names: Sequence[str]) -> list[str]:
        self.asked += names
        return [name for name in names if name not in self.there]

    def presence(self) -> Presence:
        """What is under test."""
        return Presence(cast("Any", self), lambda: self.now)


async def test_what_was_found_is_not_asked_for_again_within_a_minute() -> None:
    """A function's modules are named by each of its calls; the blob store hears of the first."""
    store = Store("a", "b")
    presence = store.presence()

    assert await presence.missing(["a", "b"]) == []
    assert await presence.missing(["b", "a"]) == []
    store.now += KNOWN_S - 1
    assert await presence.missing(["a"]) == []

    assert store.asked == ["a", "b"]


async def test_what_is_missing_is_asked_for_each_time() -> None:
    """A blob that was sent after it was found missing is there at once."""
    store = Store("a")
    presence = store.presence()
    assert await presence.missing(["c", "a"]) == ["c"]

    store.there.add("c")

    assert await presence.missing(["c", "a"]) == []
    assert store.asked == ["c", "a", "c"]


async def test_after_a_minute_the_store_is_believed_again() -> None:
    """A blob that went away is noticed."""
    store = Store("a")
    presence = store.presence()
    await presence.missing(["a"])
    store.there.clear()

    store.now += KNOWN_S

    assert await presence.missing(["a"]) == ["a"]
