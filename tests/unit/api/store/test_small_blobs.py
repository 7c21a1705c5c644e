"""The cache of small blobs: what was stored or read last, for a minute."""

from __future__ import annotations

from picloud_api.store.small_blobs import KEPT_S, SmallBlobs


def test_what_was_put_is_returned() -> None:
    """And nothing else."""
    cache = SmallBlobs(lambda: 0.0)

    cache.put("a/1", b"one")
    cache.put("a/2", b"")

    assert cache.get("a/1") == b"one"
    assert cache.get("a/2") == b""
    assert cache.get("a/3") is None


def test_the_first_ones_make_room() -> None:
    """A blob that is put again is counted once; one that is larger than the room is not kept."""
    cache = SmallBlobs(lambda: 0.0, room=10)
    for _ in range(3):
        cache.put("a/1", b"1111")
    cache.put("a/2", b"222222")

    assert (cache.get("a/1"), cache.get("a/2")) == (b"1111", b"222222")
    cache.put("a/3", b"3")
    assert (cache.get("a/1"), cache.get("a/2"), cache.get("a/3")) == (None, b"222222", b"3")
    cache.put("a/4", b"4" * 11)
    assert [cache.get(f"a/{number}") for number in range(1, 5)] == [None] * 4
    cache.put("a/5", b"5" * 10)
    assert cache.get("a/5") == b"5" * 10


def test_a_blob_is_kept_for_a_minute() -> None:
    """Its bytes are counted no longer, either."""
    now = 0.0
    cache = SmallBlobs(lambda: now, room=4)
    cache.put("a/1", b"1111")

    now = KEPT_S - 1
    assert cache.get("a/1") == b"1111"
    now = KEPT_S
    assert cache.get("a/1") is None

    cache.put("a/2", b"2222")
    assert cache.get("a/2") == b"2222"
