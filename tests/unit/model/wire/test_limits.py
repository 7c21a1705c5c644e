"""The limits fit each other."""

from __future__ import annotations

from picloud_model import pack, page, ranges, wire


def test_what_is_limited_fits_what_carries_it() -> None:
    """A request has room for what may be in it, and a batch fits the range of jids."""
    assert wire.DEFAULT_ARGUMENT_BYTES <= wire.MAX_ARGUMENT_BYTES < wire.REQUEST_BYTES
    assert wire.MAX_VARIABLES_BYTES < wire.REQUEST_BYTES
    assert pack.INLINE_BYTES < wire.REQUEST_BYTES
    assert wire.MAX_JOBS < ranges.MAX_JID
    assert page.PAGE_JOBS + 2 == pack.PACK_ITEMS
