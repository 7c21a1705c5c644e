"""The archive: what was sealed is read as it was, and nothing else is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.archive import Archive
from picloud_api.store.layout import PageId
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.errors import ServerFault

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = PageId("a1", "b1", 0), PageId("a1", "b2", 0)
ENTRIES = {layout.page(ONE): b"page", layout.results(ONE, 0): b"pack"}


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    """A blob store."""
    return DirectoryBlobs(tmp_path / "blobs")


@pytest.fixture
def archive(blobs: DirectoryBlobs) -> Archive:
    """An archive with a key."""
    return Archive(blobs, b"k" * 32)


async def test_a_sealed_page_is_read_as_it_was(archive: Archive) -> None:
    """A page that was not sealed is empty."""
    await archive.put(ONE, ENTRIES)

    assert await archive.entries(ONE) == ENTRIES
    assert await archive.entries(TWO) == {}


async def test_sealing_again_keeps_what_was_removed_already(archive: Archive) -> None:
    """An interrupted run may have removed packs from the state store; the rest is newer."""
    await archive.put(ONE, ENTRIES)

    await archive.put(ONE, {layout.page(ONE): b"changed"})

    assert await archive.entries(ONE) == {**ENTRIES, layout.page(ONE): b"changed"}


async def test_the_blob_of_one_page_is_not_accepted_for_another(
    archive: Archive, blobs: DirectoryBlobs
) -> None:
    """Each blob is signed together with its name."""
    await archive.put(ONE, ENTRIES)
    await blobs.put(layout.sealed(TWO), await blobs.get(layout.sealed(ONE)))

    with pytest.raises(ServerFault, match="damaged"):
        await archive.entries(TWO)


async def test_the_blob_of_another_key_is_not_accepted(
    archive: Archive, blobs: DirectoryBlobs
) -> None:
    """Only this installation's key signs what is read."""
    await Archive(blobs, b"x" * 32).put(ONE, ENTRIES)

    with pytest.raises(ServerFault, match="damaged"):
        await archive.entries(ONE)
    with pytest.raises(ServerFault, match="damaged"):
        await archive.put(ONE, ENTRIES)
