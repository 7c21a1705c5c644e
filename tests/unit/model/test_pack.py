"""Packs, parcels and envelopes: what was written is read, damage is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.errors import RequestRefused
from picloud_model.pack import PACK_ITEMS, Envelope, Pack, seal, unseal, write


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_a_pack_holds_its_parcels(parcels: list[bytes]) -> None:
    """Each is found at its position, also an empty one."""
    pack = Pack(write(parcels))

    assert [pack[item] for item in range(len(pack))] == parcels
    assert [bytes(pack.view(item)) for item in range(len(pack))] == parcels


@given(st.binary(max_size=100), st.integers(min_value=0), st.integers(1, 255))
def test_a_changed_parcel_is_refused(pickled: bytes, position: int, change: int) -> None:
    """A flipped byte is noticed, in the pickle or in its digest."""
    parcel = bytearray(seal(pickled))
    assert unseal(parcel) == pickled
    parcel[position % len(parcel)] ^= change

    with pytest.raises(RequestRefused, match="is damaged"):
        unseal(parcel)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a pack"),
        (b"pcp0\0\0\0\0", "not a pack"),
        (b"pcp1\0\0", "not a pack"),
        (b"pcp1\2\0\0\0\0\0\0\0", "is damaged or holds more"),
        (b"pcp1\xff\xff\xff\xff", "is damaged or holds more"),
        (write([b"a", b"b"])[:-1], "its offsets do not fit"),
        (write([b"a", b"b"]) + b"c", "its offsets do not fit"),
        (b"pcp1\2\0\0\0\2\0\0\0\1\0\0\0a", "its offsets do not fit"),
    ],
)
def test_a_damaged_pack_is_refused(data: bytes, message: str) -> None:
    """Whatever a client sends, nothing is read beyond it."""
    with pytest.raises(RequestRefused, match=message) as raised:
        Pack(data)

    assert raised.value.field == "packs"


def test_a_pack_has_room_for_a_page() -> None:
    """A page of 1,000 jobs, an envelope and the infos fit; more is refused."""
    assert len(Pack(write([b"x"] * PACK_ITEMS))) == PACK_ITEMS
    with pytest.raises(RequestRefused, match=f"more than {PACK_ITEMS}"):
        Pack(write([b"x"] * (PACK_ITEMS + 1)))


def test_only_the_same_minor_version_unpickles() -> None:
    """The version of cloudpickle does not matter."""
    here = Envelope("3.11", "3.1.0")

    assert Envelope("3.11", "2.0.0").refusal(here) is None
    assert "same minor version" in (Envelope("3.12", "3.1.0").refusal(here) or "")
