"""Snapshots: what is not one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.snapshot import Snapshots
from picloud_driver.blobs.directory import DirectoryBlobs
from picloud_model.errors import BlobMissing, RequestRefused

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_other_blobs_are_refused(api: ApiHarness) -> None:
    """The message says what is wrong; a missing blob is named."""
    (digest,) = (await api.use_cases.storage.blobs.store(ACCOUNT, [b"other"])).digests
    blobs = DirectoryBlobs(api.root / "blobs")
    snapshots = Snapshots(blobs, BlobUse(api.server.context))

    with pytest.raises(RequestRefused, match="not a part of a snapshot"):
        await snapshots.read(ACCOUNT, digest)
    with pytest.raises(BlobMissing) as missing:
        await snapshots.read(ACCOUNT, "0" * 64)
    assert missing.value.digests == ("0" * 64,)
