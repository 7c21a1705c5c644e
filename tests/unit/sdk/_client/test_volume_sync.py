"""Synchronizing: what is read again, and what a damaged snapshot cannot do."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from cloud._client.volume_sync import unseen
from cloud._config.configuration import Config
from cloud._http.exchange import HttpReply
from cloud._http.transport import Transport
from cloud._resources.digest_cache import DigestCache
from cloud._resources.local_tree import LocalTree
from cloud._resources.snapshot import SnapshotStore
from cloud._resources.volume import LoadedVolume, VolumeClient, applied
from cloud.errors import CloudException
from picloud_model import wire
from picloud_model.wire.snapshot import SnapshotEntry
from picloud_model.wire.volume import Volume

from tests.polling import until
from tests.unit.sdk.fake_server import ADDRESS, FakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cloud._resources.volume import Changes

OLD_NS = 10**18


def entry(path: str, kind: str) -> SnapshotEntry:
    """Return an entry without content."""
    return SnapshotEntry(path=path, kind=kind, mode=0o755)


def nothing(parts: Sequence[tuple[str, int]]) -> Iterator[bytes]:
    """Fetch no parts."""
    assert not parts
    return iter(())


def test_a_directory_is_written_in_place_of_a_link(tmp_path: Path) -> None:
    """What is written stays inside of the directory, whatever links are there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(outside)

    tree = LocalTree(str(root), DigestCache())
    tree.write({"a": entry("a", "d"), "a/b": entry("a/b", "f")}, nothing, delete=False)

    assert (root / "a" / "b").is_file()
    assert not [*outside.iterdir()]


def test_files_are_read_again_if_they_may_have_changed(tmp_path: Path) -> None:
    """A file that was written while it was read is not remembered; the size tells others apart."""
    (tmp_path / "a").write_bytes(b"one")
    cache = DigestCache()
    status = (tmp_path / "a").stat()
    cache.keep("a", status, ["x"], status.st_ctime_ns)
    assert cache.find("a", status) is None

    path = tmp_path / "cache"
    cache = DigestCache(path)
    cache.keep("a", status, ["x"], status.st_ctime_ns + 3 * 10**9)
    cache.save()
    assert DigestCache(path).find("a", status) == ["x"]

    (tmp_path / "a").write_bytes(b"other")
    os.utime(tmp_path / "a", ns=(OLD_NS, status.st_mtime_ns))
    assert DigestCache(path).find("a", (tmp_path / "a").stat()) is None


def test_a_file_that_changes_while_it_is_sent_is_an_error(tmp_path: Path) -> None:
    """Its bytes would not be those that were announced."""
    (tmp_path / "a").write_bytes(b"one")
    tree = LocalTree(str(tmp_path), DigestCache())
    (scanned,) = tree.scan().values()
    (tmp_path / "a").write_bytes(b"two")

    with pytest.raises(CloudException, match="changed while it was read"):
        tree.part(scanned, 0)


def test_many_small_files_are_sent_by_requests_that_are_soon_done(
    server: FakeServer, tmp_path: Path
) -> None:
    """S3 stores each part by itself: 1,000 in one request took longer than its time-out."""
    for number in range(250):
        (tmp_path / str(number)).write_text(str(number), encoding="utf-8")
    tree = LocalTree(str(tmp_path), DigestCache())
    store = SnapshotStore(Transport(ADDRESS, Config(), server))

    store.send([*tree.scan().values()], tree, lambda _: None)

    assert len(server.blobs) == 250
    assert server.paths().count("POST /v1/blobs") == 3


def test_the_server_is_asked_for_neighbours(server: FakeServer, tmp_path: Path) -> None:
    """It lists what is between the first and the last digest of a request: with 100,000 files and
    any order it would list as many names twenty times.
    """
    for number in range(250):
        (tmp_path / str(number)).write_text(str(number), encoding="utf-8")
    tree = LocalTree(str(tmp_path), DigestCache())

    SnapshotStore(Transport(ADDRESS, Config(), server)).send(
        [*tree.scan().values()], tree, lambda _: None
    )

    named = [
        digest
        for sent in server.sent
        if sent.url == "/v1/blobs/missing"
        for digest in wire.decode(sent.body, wire.MissingBlobsRequest).digests
    ]
    assert len(named) == 250
    assert named == sorted(named)


def test_a_commit_of_many_files_may_take_long(server: FakeServer) -> None:
    """The server checks each of them; a request that timed out would only have it begin again."""
    made = wire.encode(Volume(name="data", mount_path="/data", number=1))
    server.faults = [None, None, HttpReply(200, {}, made)]
    changes: Changes = {f"{number}": entry(f"{number}", "d") for number in range(10_000)}

    VolumeClient(Transport(ADDRESS, Config(), server)).change(
        LoadedVolume(Volume(name="data", mount_path="/data"), {}), changes
    )

    commit = server.sent[-1]
    assert (commit.url, commit.timeout_s) == ("/v1/volumes/commit", 80.0)


def test_parts_are_fetched_ahead_and_arrive_in_order(server: FakeServer) -> None:
    """The next request is sent before the parts of the last one are written, and no more."""
    blobs = [f"{number}".encode() * 100_000 for number in range(100, 160)]
    parts = [(sha256(blob).hexdigest(), len(blob)) for blob in blobs]
    server.blobs.update(zip([digest for digest, _ in parts], blobs, strict=True))
    store = SnapshotStore(Transport(ADDRESS, Config(), server))

    fetched = store.fetch(parts, lambda _: None)
    first = next(fetched)
    until(lambda: len(server.sent) == 3, "two requests are sent ahead")

    assert [first, *fetched] == blobs


def test_a_new_file_keeps_its_directory(tmp_path: Path) -> None:
    """If one removes a directory while another writes into it, the new file is kept."""
    entries = {path: entry(path, kind) for path, kind in (("a", "d"), ("a/new", "f"))}

    assert sorted(applied(entries, {"a": None})) == ["a", "a/new"]


def test_nothing_may_be_shown() -> None:
    """Progress can be ignored."""
    with unseen(7) as progress:
        progress(7)
