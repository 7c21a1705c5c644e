"""Bodies about blobs."""

from __future__ import annotations

import msgspec
import pytest
from picloud_model import wire


def test_content_is_inline_or_named() -> None:
    """An array of digest, size and bytes, which stored records hold as well."""
    assert msgspec.msgpack.decode(wire.encode(wire.Content("d", 3))) == ["d", 3, None]
    assert msgspec.msgpack.decode(wire.encode(wire.Content(data=b"abc"))) == ["", 0, b"abc"]


@pytest.mark.parametrize("digest", ["", "0" * 63, "g" * 64, "../" + "0" * 61])
def test_only_a_digest_names_a_blob(digest: str) -> None:
    """Nothing else becomes a part of a name in the blob store."""
    with pytest.raises(msgspec.ValidationError):
        wire.decode(wire.encode({"digests": [digest]}), wire.ReadBlobsRequest)
