"""The requests of the file system."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import threading
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from picloud_http.response import Response
from picloud_model.errors import ObjectChanged, Unavailable
from picloud_model.wire import bucket
from picloud_worker.mount.client import MountClient

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeApi:
    """Answers as the API does, from a queue, and keeps the requests."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    def with_token(self, token: str) -> FakeApi:
        """See `ApiClient.with_token`."""
        assert token == "token"
        return self

    def post(self, path: str, body: Any, kind: Any) -> Any:
        """See `ApiClient.post`."""
        self.requests.append((path, body))
        answer = self.answers.pop(0)
        assert isinstance(answer, kind)
        return answer

    def fetch(self, url: str, headers: dict[str, str]) -> Any:
        """See `ApiClient.fetch`."""
        self.requests.append((url, headers))
        return self.answers.pop(0)

    @contextlib.contextmanager
    def stream(self, url: str, headers: dict[str, str]) -> Iterator[Any]:
        """See `ApiClient.stream`."""
        status, data = self.fetch(url, headers)
        head = f"HTTP/1.1 {status} _\r\ncontent-length: {len(data)}\r\n\r\n"
        yield Response(BufferedReader(BytesIO(head.encode() + data)))

    def close(self) -> None:
        """See `ApiClient.close`."""

    def upload(self, url: str, headers: dict[str, str], data: Any) -> None:
        """See `ApiClient.upload`."""
        self.requests.append((url, headers, b"".join(data.pieces())))


class PartsApi(FakeApi):
    """Accepts the parts of an upload, in any order and from any thread."""

    def __init__(self, part_bytes: int) -> None:
        super().__init__()
        self.part_bytes = part_bytes
        self.sizes: dict[int, int] = {}
        self.sent: dict[int, str] = {}
        self.finished: list[bucket.FinishUploadRequest] = []

    def post(self, path: str, body: Any, kind: Any) -> Any:
        """See `ApiClient.post`."""
        if isinstance(body, bucket.PutObjectRequest):
            assert body.md5 == ""
            return bucket.ObjectPut(upload="12345678", part_bytes=self.part_bytes)
        if isinstance(body, bucket.PutPartRequest):
            self.sizes[body.number] = body.size
            return bucket.PartTarget(target=bucket.WriteTarget(f"/{body.number}"))
        assert isinstance(body, bucket.FinishUploadRequest)
        self.finished.append(body)
        return OBJECT

    def upload(self, url: str, headers: dict[str, str], data: Any) -> None:
        """See `ApiClient.upload`."""
        self.sent[int(url[1:])] = hashlib.md5(b"".join(data.pieces())).hexdigest()


def client(api: FakeApi) -> MountClient:
    """A client of this API."""
    fake: Any = api
    return MountClient(fake, "token")


OBJECT = bucket.ObjectDescription(key="a", size=5, etag="e", modified_at=0.0)
OPENED = bucket.OpenedObject(object=OBJECT, url="/1")


class CountingApi(FakeApi):
    """Counts the connections that are opened besides the first."""

    opened = 0

    def with_token(self, token: str) -> FakeApi:
        """See `ApiClient.with_token`."""
        self.opened += 1
        return super().with_token(token)


def test_threads_that_come_and_go_share_connections() -> None:
    """A thread of libfuse is a new one to Python at each call: none has a connection of its own."""
    found = bucket.PathFound(object=OBJECT, folder=False)
    api = CountingApi(*[found] * 3)
    mount = client(api)

    for _ in range(3):
        thread = threading.Thread(target=mount.find, args=("a",))
        thread.start()
        thread.join()

    assert api.opened == 1


def test_a_range_is_of_the_version_that_was_opened() -> None:
    """The request says which; a shorter answer and a refusal are another version."""
    api = FakeApi((206, b"yte"), (206, b"y"), (412, b""))

    assert client(api).read(OPENED, 1, 4) == b"yte"
    assert api.requests == [("/1", {"range": "bytes=1-3", "if-match": '"e"'})]
    for _ in range(2):
        with pytest.raises(ObjectChanged):
            client(api).read(OPENED, 1, 4)


def test_an_address_that_expired_is_renewed() -> None:
    """The object is opened again, and the same version is read."""
    api = FakeApi((403, b""), bucket.OpenedObject(object=OBJECT, url="/2"), (206, b"b"))

    assert client(api).read(OPENED, 0, 1) == b"b"
    assert api.requests[-1] == ("/2", {"range": "bytes=0-0", "if-match": '"e"'})


def test_an_address_that_is_refused_again_is_not_another_version() -> None:
    """The blob store refuses every URL while its clock is wrong, say: the object is as it was."""
    again = bucket.OpenedObject(object=OBJECT, url="/2")

    with pytest.raises(Unavailable, match="refused a presigned URL"):
        client(FakeApi((403, b""), again, (403, b""))).read(OPENED, 0, 1)
    with pytest.raises(Unavailable, match="refused a presigned URL"):
        next(client(FakeApi((403, b""), again, (403, b""), again)).stream(OPENED, 0, 1))


def test_a_stream_is_of_the_version_that_was_opened() -> None:
    """Its address is renewed as well, and another version is an error."""
    again = bucket.OpenedObject(object=OBJECT, url="/2")
    api = FakeApi((403, b""), again, (206, b"yte"), (412, b""))

    stream, buffer = client(api).stream(OPENED, 1, 4), bytearray(5)
    assert next(stream) == 0
    assert (stream.send(memoryview(buffer)), buffer[:3], [*stream]) == (3, b"yte", [])
    assert api.requests[-1] == ("/2", {"range": "bytes=1-3", "if-match": '"e"'})
    with pytest.raises(ObjectChanged):
        next(client(api).stream(OPENED, 1, 4))


def test_a_large_file_is_sent_in_parts() -> None:
    """Each is checked by its MD5 at the end; the server says how long they are."""
    size, part = bucket.WHOLE_OBJECT_BYTES + 10, bucket.WHOLE_OBJECT_BYTES // 2
    api = PartsApi(part)

    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"begin")
        file.truncate(size)
        client(api).write("a", file, size, {})

    (finish,) = api.finished
    assert finish.parts == [api.sent[number] for number in (1, 2, 3)]
    assert (finish.md5, api.sizes) == ("", {1: part, 2: part, 3: 10})


def test_parts_are_sent_before_the_file_is_complete() -> None:
    """Only whole ones; the rest follows when the file is finished."""
    api = PartsApi(4)

    with tempfile.TemporaryFile(buffering=0) as file:
        upload = client(api).begin("a", file)
        file.write(b"abcdefghi")
        upload.send(9)
        upload.send(9)
        until(lambda: len(api.sent) == 2, "two parts are sent")
        file.write(b"jkl")
        upload.finish(12)

    (finish,) = api.finished
    assert finish.parts == [api.sent[number] for number in (1, 2, 3)]
    assert (api.sizes, upload.have_failed()) == ({1: 4, 2: 4, 3: 4}, False)


def test_a_listing_goes_on_after_its_last_name() -> None:
    """Objects and folders of all pages are yielded."""
    one = bucket.ListedObject("a", 0, "", 0.0)
    pages = [
        bucket.ObjectsListed(objects=[one], folders=["b/"], truncated=True),
        bucket.ObjectsListed(objects=[], folders=["c/"]),
    ]
    api = FakeApi(*pages)

    assert [*client(api).names("")] == [one, "b/", "c/"]
    assert api.requests[1][1].marker == "b/"
