"""The blob sweeper: sweeps every account, and uploads that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.errors import UploadNotFound
from picloud_model.wire.bucket import ListPartsRequest, PutObjectRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.blob_history import DAY_S, HOUR_S, BlobHistory, content

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

LARGE = PutObjectRequest(key="a", size=2**30, md5="")


async def test_what_is_left_of_every_account_is_deleted(api: ApiHarness) -> None:
    """Within two days; an account whose records are damaged does not keep the others from it."""
    history = BlobHistory(api)
    await history.put(b"left")
    other = "a0000002"
    await api.use_cases.accounts.accounts.create(other, "other")
    blobs = DirectoryBlobs(api.root / "blobs")
    name = f"{other}/{content(b'left').digest}"
    await blobs.put(name, b"left")
    await blobs.put(f"sealed/{ACCOUNT}/batch/0000", b"damaged" * 100)

    for _ in range(2):
        api.now += DAY_S
        await api.server.background.blob_sweeper.sweep_if_leader()

    assert await blobs.missing([name]) == [name]
    assert len(await history.stored()) == 1


async def test_an_upload_that_was_given_up_is_deleted(api: ApiHarness) -> None:
    """A day after something was last written to it."""
    buckets = api.use_cases.storage.buckets
    upload = (await buckets.put(ACCOUNT, LARGE)).upload
    listed = ListPartsRequest(key="a", upload=upload)
    (directory,) = (api.root / "buckets" / "uploads" / ACCOUNT).iterdir()
    api.now = directory.stat().st_mtime + DAY_S - HOUR_S
    await api.server.background.blob_sweeper.sweep()
    assert (await buckets.parts(ACCOUNT, listed)).parts == []

    api.now += 2 * HOUR_S
    await api.server.background.blob_sweeper.sweep()

    with pytest.raises(UploadNotFound):
        await buckets.parts(ACCOUNT, listed)
