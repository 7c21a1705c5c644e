"""Cutting parcels into packs."""

from __future__ import annotations

from cloud._jobs.pack_parts import pack_parts
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.pack import INLINE_BYTES, Pack
from picloud_model.page import PAGE_JOBS

sizes = st.lists(
    st.one_of(
        st.integers(0, 40),
        st.sampled_from([1000, INLINE_BYTES - 12, INLINE_BYTES - 11, INLINE_BYTES, 400_000]),
    ),
    max_size=60,
)


@given(sizes, st.integers(0, 2500))
def test_parts_cover_all_jobs_and_cross_no_page(large: list[int], small: int) -> None:
    """Parts follow each other without a gap, and none reaches over a multiple of 1,000 jobs."""
    parcels = [b"x" * size for size in large] + [b"y"] * small

    parts = [made.part for made in pack_parts(parcels)]

    at = 0
    for part in parts:
        assert part.first == at
        assert part.first // PAGE_JOBS == (part.first + part.count - 1) // PAGE_JOBS
        at += part.count
    assert at == len(parcels)


@given(sizes)
def test_packs_stay_small_unless_one_argument_is_large(large: list[int]) -> None:
    """A pack over 256 KiB is a blob and holds a single parcel."""
    for made in pack_parts([b"x" * size for size in large]):
        content = made.part.content
        if made.blob is None:
            assert content.data is not None
            assert len(content.data) == content.size <= INLINE_BYTES
        else:
            assert content.data is None
            assert made.part.count == 1
            assert len(made.blob) == content.size > INLINE_BYTES


@given(st.lists(st.binary(max_size=50), max_size=50))
def test_packs_hold_the_parcels_in_order(parcels: list[bytes]) -> None:
    """What is read from the packs is what was put in."""
    packs = [Pack(made.part.content.data or b"") for made in pack_parts(parcels)]

    assert [held[at] for held in packs for at in range(len(held))] == parcels


def test_a_repeated_large_parcel_is_packed_once() -> None:
    """The same object gives the same bytes, not equal ones."""
    shared = b"x" * (INLINE_BYTES + 1)

    blobs = [made.blob for made in pack_parts([shared] * 3 + [b"small"] + [shared])]

    assert blobs[0] is blobs[1] is blobs[2]
    assert blobs[3] is None
    assert blobs[4] == blobs[0]


def test_parts_come_as_soon_as_they_are_full() -> None:
    """Nothing is read ahead of the part that is being made."""
    read = []

    def parcels():
        for number in range(3000):
            read.append(number)
            yield b"x"

    first = next(pack_parts(parcels()))

    assert first.part.count == PAGE_JOBS
    assert len(read) == PAGE_JOBS
