"""Blobs in a slot: fetched once, checked, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import BlobMissing
from picloud_worker.api.client import ApiClient
from picloud_worker.storage.blob_cache import BlobCache

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi


@pytest.fixture
def client(api: FakeApi) -> Iterator[ApiClient]:
    """A slot's connection."""
    made = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    yield made
    made.close()


def test_a_blob_is_fetched_once(api: FakeApi, client: ApiClient, tmp_path: Path) -> None:
    """The second time it is there."""
    blobs = BlobCache(tmp_path, client)
    digest = api.store(b"content")

    assert blobs.path(digest).read_bytes() == blobs.path(digest).read_bytes() == b"content"
    assert len(api.requests) == 1


def test_a_damaged_blob_is_not_kept(api: FakeApi, client: ApiClient, tmp_path: Path) -> None:
    """Bytes that do not fit their name are refused, and asked for again."""
    digest = "0" * 64
    api.blobs[digest] = b"something else"

    with pytest.raises(BlobMissing, match="other bytes"):
        BlobCache(tmp_path, client).path(digest)

    assert list(tmp_path.iterdir()) == []


def test_the_least_used_make_room(api: FakeApi, client: ApiClient, tmp_path: Path) -> None:
    """Beyond the bound the blob goes that was not used for longest."""
    blobs = BlobCache(tmp_path, client, most_bytes=25)
    first, second, third, fourth = (api.store(bytes([n]) * 10) for n in range(4))
    for digest in (first, second, first, third, fourth):
        blobs.path(digest)

    assert {path.name for path in tmp_path.iterdir()} == {first, third, fourth}
