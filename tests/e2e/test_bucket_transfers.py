"""Large transfers of objects that are cut, continued, or whose file changes, on every stack."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, bucket
from cloud._config.configuration import Config
from cloud._http.exchange import NoAnswer
from cloud._http.transport import Backoff, ServerAddress, Transport
from cloud._resources.bucket import BucketClient
from picloud_model.wire.bucket import PART_BYTES, WHOLE_OBJECT_BYTES

from tests.current_client import current_client
from tests.object_link import ObjectLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client
    from cloud._http.exchange import HttpRequest

    from tests.e2e.stacks import Stack

SIZE = WHOLE_OBJECT_BYTES + 1
PARTS = WHOLE_OBJECT_BYTES // PART_BYTES + 1


@pytest.fixture
def link(stack: Stack) -> Iterator[ObjectLink]:
    """A link to the stack that a test can cut."""
    with contextlib.closing(ObjectLink(stack.url)) as opened:
        yield opened


@pytest.fixture
def objects(
    stack: Stack, link: ObjectLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BucketClient:
    """The bucket, by this link; records of uploads are in the directory of the test."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path / "config"))
    backoff = Backoff(sleep=lambda _: None)
    return BucketClient(Transport(ServerAddress(stack.url, stack.key), Config(), link, backoff))


@pytest.fixture
def key(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A key of this test."""
    name = f"transfers/{request.node.name}"
    with current_client(client):
        yield name
        bucket.remove_prefix(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is sent in parts."""
    path = tmp_path / "data"
    path.write_bytes(os.urandom(SIZE))
    return path


def test_an_upload_goes_on_with_the_parts_that_were_sent(
    objects: BucketClient, link: ObjectLink, key: str, file: Path, tmp_path: Path
) -> None:
    """When the same file is put again; the progress counts all of its bytes."""
    link.cut_after(3)
    with pytest.raises(CloudException, match="was cut"):
        objects.put_file(file, key)
    assert not bucket.exists(key)
    link.before, link.transfers, sent = lambda _: None, 0, []

    objects.put_file(file, key, sent.append)

    assert (link.transfers, sum(sent)) == (PARTS - 3, SIZE)
    assert bucket.info(key)["md5sum"] == hashlib.md5(file.read_bytes()).hexdigest()
    assert list((tmp_path / "config" / "uploads").iterdir()) == []


def test_another_file_is_another_upload(
    objects: BucketClient, link: ObjectLink, key: str, file: Path
) -> None:
    """Nothing of the earlier content is in the object."""
    link.cut_after(3)
    with pytest.raises(CloudException, match="was cut"):
        objects.put_file(file, key)
    data = os.urandom(SIZE)
    file.write_bytes(data)
    link.before, link.transfers = lambda _: None, 0

    objects.put_file(file, key)

    assert link.transfers == PARTS
    assert bucket.get_md5(key) == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("size", [100_000, SIZE])
def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    objects: BucketClient, link: ObjectLink, key: str, file: Path, size: int
) -> None:
    """The error says so, and the earlier object stays."""
    bucket.putf("earlier", key)
    os.truncate(file, size)

    def change(_: HttpRequest) -> None:
        with file.open("r+b") as opened:
            opened.write(b"other")

    link.before = change

    with pytest.raises(CloudException, match="changed while it was sent"):
        objects.put_file(file, key)

    assert bucket.getf(key).read() == b"earlier"


MEMORY = """
import re, sys
from pathlib import Path
import cloud

def peak():
    return re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]

cloud.bucket.putf(b"x", sys.argv[1])
before = peak()
cloud.bucket.put("large", sys.argv[1])
cloud.bucket.get(sys.argv[1], "copy")
with cloud.bucket.getf(sys.argv[1]) as opened:
    while opened.read(1_000_000):
        pass
print(before, peak())
"""
"""A program that prints its peak memory in KiB, before and after large transfers."""


def test_memory_does_not_grow_with_an_object(
    stack: Stack, script: Callable[..., str], key: str, tmp_path: Path
) -> None:
    """That of the client stays far below what it sends and receives; so does that of the API."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(300_000_000)

    def api_bytes() -> int:
        return sum(process.memory_info().rss for process in stack.processes())

    before = api_bytes()
    client_before, client_after = map(int, script(MEMORY, key).split())

    assert (tmp_path / "copy").stat().st_size == 300_000_000
    assert client_after * 1024 < 120_000_000
    assert (client_after - client_before) * 1024 < 60_000_000
    assert api_bytes() - before < 150_000_000


def test_a_download_goes_on_after_a_cut_link(
    objects: BucketClient, link: ObjectLink, key: str, file: Path, tmp_path: Path
) -> None:
    """Only the parts that were cut are received again."""
    bucket.put(file, key)
    failures = [NoAnswer("it was cut")] * 2

    def before(_: HttpRequest) -> None:
        with contextlib.suppress(IndexError):
            raise failures.pop()

    link.before, received = before, []

    objects.get_file(key, str(tmp_path / "copy"), progress=received.append)

    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    assert (link.transfers, sum(received)) == (PARTS + 2, SIZE)


def test_a_download_that_fails_leaves_the_file(
    objects: BucketClient, link: ObjectLink, key: str, file: Path, tmp_path: Path
) -> None:
    """A lasting cut, a replaced object and a full disk are one sentence; nothing else is left."""
    bucket.put(file, key)
    copy = tmp_path / "copy"
    copy.write_text("earlier", encoding="utf-8")
    left = sorted(tmp_path.iterdir())

    def get(message: str) -> None:
        with pytest.raises(CloudException, match=message):
            objects.get_file(key, str(copy))
        assert copy.read_text(encoding="utf-8") == "earlier"
        assert sorted(tmp_path.iterdir()) == left

    link.cut_after(3)
    get("was cut")
    link.before = lambda _: bucket.putf("replaced", key)
    get("was replaced or removed while it was read")
    link.before = lambda _: None
    bucket.put(file, key)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 1, hard))
    try:
        get("cannot be written: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
