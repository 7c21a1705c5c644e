"""The cache of parts: shared, checked, bounded."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from cloud._resources.part_cache import PartCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Source:
    """Parts by digest, which counts what is fetched."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = {sha256(part).hexdigest(): part for part in parts}
        self.fetched: list[bytes] = []

    @property
    def wanted(self) -> list[tuple[str, int]]:
        """All parts, by digest and length."""
        return [(digest, len(part)) for digest, part in self.parts.items()]

    def fetch(self, parts: Sequence[tuple[str, int]]) -> Iterator[bytes]:
        """Yield parts."""
        for digest, _ in parts:
            self.fetched.append(self.parts[digest])
            yield self.parts[digest]


def test_a_part_is_fetched_once(tmp_path: Path) -> None:
    """The next process finds it; all come in the order of the request."""
    source = Source(b"one", b"two")
    more = Source(b"one", b"three", b"two")

    first = [*PartCache(tmp_path).fetch(source.wanted, source.fetch)]
    second = [*PartCache(tmp_path).fetch(more.wanted, more.fetch)]

    assert (first, second) == ([b"one", b"two"], [b"one", b"three", b"two"])
    assert (source.fetched, more.fetched) == ([b"one", b"two"], [b"three"])


def test_what_a_job_did_to_the_cache_is_noticed(tmp_path: Path) -> None:
    """Other bytes of the same length are not believed, but replaced."""
    source = Source(b"one", b"two")
    assert [*PartCache(tmp_path).fetch(source.wanted, source.fetch)]
    for path in tmp_path.glob("??/*"):
        path.write_bytes(b"bad")

    assert [*PartCache(tmp_path).fetch(source.wanted, source.fetch)] == [b"one", b"two"]
    assert [*PartCache(tmp_path).fetch(source.wanted, source.fetch)] == [b"one", b"two"]
    assert source.fetched == [b"one", b"two"] * 2


def test_old_parts_make_room_for_new_ones(tmp_path: Path) -> None:
    """No more than so many bytes are kept."""
    parts = [bytes([number]) * 10 for number in range(5)]
    for part in parts:
        source = Source(part)
        assert [*PartCache(tmp_path, 25).fetch(source.wanted, source.fetch)] == [part]

    assert sum(path.stat().st_size for path in tmp_path.glob("??/*")) == 20


def test_without_a_directory_nothing_is_kept() -> None:
    """This is so in a container, or where another user owns the directory."""
    source = Source(b"one")

    for _ in range(2):
        assert [*PartCache(None).fetch(source.wanted, source.fetch)] == [b"one"]
    assert source.fetched == [b"one", b"one"]
