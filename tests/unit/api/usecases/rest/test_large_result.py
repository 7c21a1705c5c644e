"""Large results: where in a parcel their bytes are."""

from __future__ import annotations

import pytest
from picloud_api.usecases.rest.large_result import span_of
from picloud_model import pack


@pytest.mark.parametrize(
    "pickled", [b"", b"\x80", b"\x80\x05", b"\x80\x05B", b"\x80\x05B\1\0", b"\x80\x06B\0\0\0\0."]
)
def test_what_is_no_pickle_of_bytes_has_no_span(pickled: bytes) -> None:
    """Whatever a slot has stored, it is not an error of the server."""
    parcel = pack.seal(pickled)

    assert span_of(parcel, len(parcel)) is None
