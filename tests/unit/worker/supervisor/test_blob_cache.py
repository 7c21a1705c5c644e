"""The blobs of a slot: fetched once, checked and bounded; what is large travels as a blob."""

from __future__ import annotations

import errno
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import cloudpickle
import pytest
from picloud_model import pack, wire
from picloud_model.errors import BlobMissing, Unavailable
from picloud_model.job import Cause, State
from picloud_model.wire import Content
from picloud_model.wire.blob import SharedDirectories
from picloud_worker.api.client import ApiClient
from picloud_worker.supervisor.blob_cache import BlobCache, offload, upload

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.unit.worker.jobs import echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


class FullDiskClient(ApiClient):
    """The disk is full when one blob has arrived, as often as `failures`."""

    failures = 1

    def __init__(self, url: str, token: str, *, digest: str) -> None:
        super().__init__(url, token)
        self._digest = digest

    def download(self, digest: str) -> Iterator[bytes]:
        """Yield the bytes of a blob, then fail as a write does."""
        yield from super().download(digest)
        if digest == self._digest and self.failures:
            self.failures -= 1
            raise OSError(errno.ENOSPC, "full")


@pytest.fixture
def client(api: FakeApi) -> Iterator[ApiClient]:
    """The connection of a slot."""
    connection = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    yield connection
    connection.close()


def test_a_blob_is_fetched_once(api: FakeApi, client: ApiClient, tmp_path: Path) -> None:
    """The second time it is in the cache."""
    blobs = BlobCache(tmp_path, client)
    digest = api.store(b"content")

    for _ in range(2):
        assert blobs.paths([digest])[digest].read_bytes() == b"content"
    assert len(api.requests) == 1


def test_a_damaged_blob_is_not_kept(api: FakeApi, client: ApiClient, tmp_path: Path) -> None:
    """Bytes with another digest than their name are refused and not kept."""
    digest = "0" * 64
    api.blobs[digest] = b"something else"

    with pytest.raises(BlobMissing, match="other bytes"):
        BlobCache(tmp_path, client).paths([digest])

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def shared(api: FakeApi, tmp_path: Path) -> Path:
    """The directory of blobs that the server shares with slots of its machine."""
    for name in ("shared", "incoming"):
        (tmp_path / name).mkdir()
    (tmp_path / "incoming" / "proof").write_text("p1", encoding="ascii")
    api.files = SharedDirectories(f"{tmp_path}/shared/", f"{tmp_path}/incoming/", "p1")
    return tmp_path / "shared"


def test_a_file_of_the_server_is_not_copied(
    api: FakeApi, client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """The server is asked once where its files are; what is not there is fetched."""
    blobs = BlobCache(tmp_path / "own", client, shares=True)
    digest, other = sha256(b"content").hexdigest(), api.store(b"not shared")
    (shared / digest).write_bytes(b"content")

    for _ in range(2):
        assert blobs.paths([digest]) == {digest: shared / digest}
        assert blobs.has(digest)
    assert blobs.paths([other])[other].read_bytes() == b"not shared"

    paths = [path for path, _ in api.requests]
    assert paths == ["/v1/blobs/missing", f"/v1/blobs/{other}"]


def test_a_damaged_file_of_the_server_is_noticed(
    client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """A slot compares the bytes with the digest before a job reads them."""
    digest = "0" * 64
    (shared / digest).write_bytes(b"something else")

    with pytest.raises(BlobMissing, match="other bytes"):
        BlobCache(tmp_path / "own", client, shares=True).paths([digest])


def test_a_file_that_changes_is_checked_again(
    client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """It was right when the slot saw it first; what was written since is noticed."""
    blobs = BlobCache(tmp_path / "own", client, shares=True)
    digest = sha256(b"content").hexdigest()
    (shared / digest).write_bytes(b"content")
    blobs.paths([digest])
    (shared / digest).write_bytes(b"contend")

    with pytest.raises(BlobMissing, match="other bytes"):
        blobs.paths([digest])


def test_jobs_of_another_user_get_copies(
    api: FakeApi, client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """They cannot open files of the server's user."""
    digest = api.store(b"content")
    (shared / digest).write_bytes(b"content")

    paths = BlobCache(tmp_path / "own", client).paths([digest])

    assert paths == {digest: tmp_path / "own" / digest}


def test_a_shared_file_that_was_deleted_is_fetched(
    api: FakeApi, client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """What a slot has checked may be gone when it is needed again."""
    blobs = BlobCache(tmp_path / "own", client, shares=True)
    digest = api.store(b"content")
    (shared / digest).write_bytes(b"content")
    blobs.paths([digest])
    (shared / digest).unlink()

    assert blobs.paths([digest])[digest].read_bytes() == b"content"


def test_a_result_is_written_for_the_server(
    api: FakeApi, client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """One request names it; its bytes are not sent."""
    files = BlobCache(tmp_path / "own", client, shares=True).files()

    content = upload(client, b"result", files)

    assert shared.is_dir()
    assert api.blobs[content.digest] == b"result"
    assert [path for path, _ in api.requests] == ["/v1/blobs/missing"] * 2


def test_a_job_writes_its_large_result(api: FakeApi, worker: Worker, shared: Path) -> None:
    """The process of the job writes the file, and its supervisor names it: nothing is sent."""
    batch = api.submit(lambda n: bytes((n,)) * 5_000_000, [(1,), (2,)])

    assert [api.result(batch, n) for n in range(2)] == [bytes((n,)) * 5_000_000 for n in (1, 2)]
    assert shared.is_dir()
    assert all(api.ended[batch, n].payload == b"" for n in range(2))
    assert not [path for path, _ in api.requests if path.startswith("/v1/blobs/") and "0" in path]
    # Where files are, and one for each result.
    assert [path for path, _ in api.requests].count("/v1/blobs/missing") == 3


def test_a_result_that_the_server_does_not_find_is_sent(
    api: FakeApi, client: ApiClient, shared: Path, tmp_path: Path
) -> None:
    """The file is read and removed; if it is gone, the job is an error that says so."""
    files = BlobCache(tmp_path / "own", client, shares=True).files()
    assert files is not None
    data = b"x" * 300_000
    content = Content(sha256(data).hexdigest(), len(data))
    api.files = None
    report = wire.JobReport(
        index=0,
        attempt=1,
        state=State.DONE,
        cause=Cause.NONE,
        started_at=1.0,
        finished_at=2.0,
        payload=b"",
        blob=content,
    )
    files.write(content.digest, (data,))

    assert offload(client, report, files) == report
    assert api.blobs == {content.digest: data}
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["proof"]

    api.blobs.clear()
    failed = offload(client, report, files)
    assert (failed.state, failed.cause, failed.blob) == (State.ERROR, Cause.PAYLOAD, None)
    assert b"is gone" in failed.payload
    assert shared.is_dir()


def test_the_least_recently_used_is_evicted(
    api: FakeApi, client: ApiClient, tmp_path: Path
) -> None:
    """Over the bound, the least recently used blob is deleted."""
    blobs = BlobCache(tmp_path, client, most_bytes=25)
    first, second, third, fourth = (api.store(bytes([n]) * 10) for n in range(4))
    for digest in (first, second, first, third, fourth):
        blobs.paths([digest])

    assert {path.name for path in tmp_path.iterdir()} == {first, third, fourth}


def test_other_blobs_make_room(api: FakeApi, tmp_path: Path) -> None:
    """On a full disk all blobs but those that are needed are deleted, and it is tried again."""
    old, needed, last = (api.store(bytes([n]) * 10) for n in range(3))
    with closing(FullDiskClient(f"http://127.0.0.1:{api.port}", "t", digest=last)) as client:
        blobs = BlobCache(tmp_path, client)
        blobs.paths([old])

        paths = blobs.paths([needed, last])

    assert {path.name for path in tmp_path.iterdir()} == {needed, last}
    assert all(path.exists() for path in paths.values())


def test_a_blob_that_does_not_fit(api: FakeApi, tmp_path: Path) -> None:
    """While others leave no room for it, it is tried later, and nothing of it stays."""
    digest = api.store(b"x" * 100)

    with closing(FullDiskClient(f"http://127.0.0.1:{api.port}", "t", digest=digest)) as client:
        client.failures = 2
        with pytest.raises(Unavailable, match="disk of this slot"):
            BlobCache(tmp_path, client).paths([digest])

    assert list(tmp_path.iterdir()) == []


def test_large_results_become_blobs(api: FakeApi, worker: Worker) -> None:
    """A result that is too large to travel inline is uploaded, and the report names the blob."""
    batch = api.submit(lambda: b"x" * 5_000_000)

    assert api.result(batch) == b"x" * 5_000_000
    assert api.ended[batch, 0].payload == b""
    assert any(path.startswith("/v1/blobs/") for path, _ in api.requests)


def test_large_functions_and_arguments_are_fetched(api: FakeApi, worker: Worker) -> None:
    """A function and a pack that are blobs are fetched once each."""
    data = pack.seal(cloudpickle.dumps(echo))
    function = wire.Content(api.store(data), len(data))
    bodies = [pack.seal(cloudpickle.dumps(((n,), {}))) for n in range(4)]
    whole = pack.write(bodies)
    part = wire.PackPart(0, 4, wire.Content(api.store(whole), len(whole)))

    batch = api.submit(echo, [()] * 4, content=function, pack=part, size=2)

    assert [api.result(batch, n) for n in range(4)] == [0, 1, 2, 3]
    fetched = [path for path, _ in api.requests if "/v1/blobs/" in path]
    assert fetched[0] == "/v1/blobs/missing"  # asks whether the server's files are here
    assert len(fetched) == 3


def test_missing_blobs_fail_the_job(api: FakeApi, worker: Worker) -> None:
    """A blob that the server lacks fails the job, with the cause environment; the slot goes on."""
    lacking = api.failure(api.submit(echo, content=wire.Content("0" * 64, 5)))
    module = wire.Manifest([wire.Module("../escape.py", api.store(b""))])
    outside = api.failure(api.submit(echo, bundle=api.store(wire.encode(module))))

    assert lacking.cause == outside.cause == Cause.ENVIRONMENT
    assert "no such blob" in lacking.message
    assert "'../escape.py'" in outside.message
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_blob_is_uploaded_once(api: FakeApi, client: ApiClient) -> None:
    """A blob that the server has is not sent again."""
    expected = wire.Content(sha256(b"result").hexdigest(), 6)

    assert upload(client, b"result") == upload(client, b"result") == expected
    assert len([path for path, _ in api.requests if path.endswith(expected.digest)]) == 1
    assert api.blobs[expected.digest] == b"result"


def test_why_a_blob_store_took_nothing_is_told(api: FakeApi, client: ApiClient) -> None:
    """The server does not see what the store answers."""
    full = ScriptedAnswer(507, b"<Error><Code>InsufficientStorage</Code></Error>")
    with ScriptedServer(full) as store:
        api.presigned["put"] = f"{store.url}/bucket/x"
        with pytest.raises(Unavailable, match="answered 507 InsufficientStorage"):
            upload(client, b"result")

    asked, told = api.seen("/v1/blobs/missing")
    assert (asked.failure, told.failure) == (
        "",
        "the blob store answered 507 InsufficientStorage.",
    )
    assert told.digests == [sha256(b"result").hexdigest()]
