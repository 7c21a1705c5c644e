"""Names of blobs: only a digest is one."""

from __future__ import annotations

import pytest
from picloud_api.store.blob_name import blob_name
from picloud_model.errors import RequestRefused


@pytest.mark.parametrize(
    "digest", ["", "0" * 63, "0" * 65, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n"]
)
def test_only_a_digest_names_a_blob(digest: str) -> None:
    """Any other text is refused before it reaches the store."""
    with pytest.raises(RequestRefused, match="A digest is the SHA-256"):
        blob_name("a0000001", digest)
