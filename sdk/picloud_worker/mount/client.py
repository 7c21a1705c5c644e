"""The objects of an account, as the file system reads and writes them."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import IO, TYPE_CHECKING, Final, TypeVar

from picloud_model.errors import ObjectChanged, PiCloudError, Unavailable
from picloud_model.wire import Answer, bucket

from picloud_worker.api.client import refused_url
from picloud_worker.api.file_part import FilePart, HashedPart

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

    from picloud_model.wire import Request

    from picloud_worker.api.client import ApiClient

_Body = TypeVar("_Body")
_CHANGED: Final = (412, 416)
_FORBIDDEN: Final = 403
_FAILED: Final = 400
_THREADS: Final = 4
"""How many parts are sent at the same time."""


class MountClient:
    """Sends the requests of the file system; threads may share it.

    Args:
        api: A connection to the API; others like it are opened, with the token of the slot.
    """

    def __init__(self, api: ApiClient, token: str) -> None:
        self._first = api
        self._token = token
        self._idle: list[ApiClient] = []
        """Connections in use by no thread. A thread of libfuse is a new one to Python at each call,
        so that connections of threads would be opened anew for each request."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def find(self, path: str) -> bucket.PathFound:
        """Return what a path is."""
        return self._post("/v1/bucket/path", bucket.PathRequest(path=path), bucket.PathFound)

    def open(self, key: str) -> bucket.OpenedObject:
        """Return an object and where its bytes are, with the bytes if they are few."""
        request = bucket.OpenObjectRequest(key=key, inline_bytes=bucket.INLINE_OBJECT_BYTES)
        return self._post("/v1/bucket/open", request, bucket.OpenedObject)

    def read(self, opened: bucket.OpenedObject, start: int, end: int) -> bytes:
        """Return bytes `start .. end-1` of the version that was opened.

        Raises:
            ObjectChanged: When it was replaced or removed meanwhile.
            Unavailable: When the blob store cannot be reached, or refuses a new URL, too.
        """
        headers = _range(opened, start, end)
        with self._connection() as api:
            status, data = api.fetch(opened.url, headers)
            if status == _FORBIDDEN:
                # The URL has expired.
                opened = self.open(opened.object.key)
                status, data = api.fetch(opened.url, headers)
        if status == _FORBIDDEN:
            raise Unavailable(refused_url(str(status)))
        if status >= _FAILED or len(data) != end - start:
            raise ObjectChanged
        return data

    def stream(
        self, opened: bucket.OpenedObject, start: int, end: int
    ) -> Generator[int, memoryview, None]:
        """Read bytes `start .. end-1`, as `read` returns them, over a connection of its own.

        Begin it by `next`; then `send` buffers to it: it yields how many bytes it has read into
        each, and ends after the last one.

        Raises:
            ObjectChanged: As in `read`.
            Unavailable: When the connection breaks, or as in `read`.
        """
        headers = _range(opened, start, end)
        with contextlib.closing(self._first.with_token(self._token)) as api:
            for _ in range(2):
                with api.stream(opened.url, headers) as response:
                    if response.status < _FAILED:
                        count = 0
                        while not response.is_read:
                            count = response.read_into((yield count))
                        yield count
                        return
                if response.status != _FORBIDDEN:
                    raise ObjectChanged
                opened = self.open(opened.object.key)  # the URL has expired
        raise Unavailable(refused_url(str(_FORBIDDEN)))

    def write(self, key: str, file: IO[bytes], size: int, headers: dict[str, str]) -> None:
        """Store the bytes of a file as an object."""
        whole = FilePart(file, 0, size)
        small = b"".join(whole.pieces()) if size <= bucket.INLINE_OBJECT_BYTES else None
        # The digests of parts are computed while they are sent.
        md5 = _md5(whole) if size <= bucket.WHOLE_OBJECT_BYTES else ""
        request = bucket.PutObjectRequest(key=key, size=size, md5=md5, headers=headers, data=small)
        put = self._post("/v1/bucket/put", request, bucket.ObjectPut)
        if put.target:
            self._upload(put.target, whole)
        elif put.upload:
            PartsUpload(self, key, put, file).finish(size)

    def begin(self, key: str, file: IO[bytes]) -> PartsUpload:
        """Begin to store a file of which more will be written, as an object that has parts."""
        request = bucket.PutObjectRequest(key=key, size=bucket.WHOLE_OBJECT_BYTES + 1, md5="")
        put = self._post("/v1/bucket/put", request, bucket.ObjectPut)
        return PartsUpload(self, key, put, file)

    def names(self, prefix: str) -> Iterator[bucket.ListedObject | str]:
        """Yield the objects and folders whose names begin with a prefix."""
        marker = ""
        while True:
            page = self._page(prefix, marker, bucket.MAX_LISTED, folderize=True)
            yield from page.objects
            yield from page.folders
            if not page.truncated:
                return
            marker = max([each.key for each in page.objects] + page.folders, key=str.encode)

    def keys(self, prefix: str) -> Iterator[list[str]]:
        """Yield the keys that begin with a prefix, a page at a time."""
        marker = ""
        while True:
            page = self._page(prefix, marker, bucket.MAX_LISTED, folderize=False)
            keys = [each.key for each in page.objects]
            if keys:
                yield keys
            if not page.truncated:
                return
            marker = keys[-1]

    def first(self, prefix: str, count: int = 1) -> list[str]:
        """Return the first keys that begin with a prefix."""
        page = self._page(prefix, "", count, folderize=False)
        return [each.key for each in page.objects]

    def remove(self, keys: list[str]) -> None:
        """Remove objects."""
        self._post("/v1/bucket/remove", bucket.RemoveObjectsRequest(keys=keys), Answer)

    def copy(self, source: str, target: str) -> None:
        """Copy an object where it is stored."""
        request = bucket.CopyObjectRequest(source=source, target=target)
        self._post("/v1/bucket/copy", request, bucket.ObjectDescription)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[ApiClient]:
        try:
            api = self._idle.pop()  # the one that was used last: its servers expect it
        except IndexError:
            api = self._first.with_token(self._token)
        try:
            yield api
        finally:
            self._idle.append(api)

    def _post(self, path: str, body: Request, kind: type[_Body]) -> _Body:
        with self._connection() as api:
            return api.post(path, body, kind)

    def _upload(self, target: bucket.WriteTarget, part: FilePart) -> None:
        with self._connection() as api:
            api.upload(target.url, target.headers, part)

    def _page(
        self, prefix: str, marker: str, limit: int, *, folderize: bool
    ) -> bucket.ObjectsListed:
        request = bucket.ListObjectsRequest(
            prefix=prefix, marker=marker, folderize=folderize, max_keys=limit
        )
        return self._post("/v1/bucket/list", request, bucket.ObjectsListed)

    def send_part(self, key: str, upload: str, number: int, part: HashedPart) -> str:
        """Send a part of an upload; return its MD5."""
        request = bucket.PutPartRequest(key=key, upload=upload, number=number, size=part.size)
        target = self._post("/v1/bucket/parts", request, bucket.PartTarget).target
        self._upload(target, part)
        return part.md5

    def finish(self, key: str, upload: str, md5s: list[str]) -> None:
        """Store the object whose parts were sent."""
        # Without an MD5 of the whole, which would take as long again as those of the parts.
        request = bucket.FinishUploadRequest(key=key, upload=upload, parts=md5s)
        self._post("/v1/bucket/finish", request, bucket.ObjectDescription)

    def abort(self, key: str, upload: str) -> None:
        """Give up an upload."""
        self._post("/v1/bucket/abort", bucket.AbortUploadRequest(key=key, upload=upload), Answer)

    def threads(self) -> ThreadPoolExecutor:
        """Return what sends the parts of all files."""
        with self._lock:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

                self._pool = ThreadPoolExecutor(_THREADS, "picloud-mount")
            return self._pool


class PartsUpload:
    """An upload in parts, of which some may be sent before the last ones are written.

    Args:
        client: Sends them.
        key: Of the object, which is stored by `finish`.
        put: The server's answer to the request to store it.
        file: Its bytes. They must not change once their part is sent.
    """

    def __init__(
        self, client: MountClient, key: str, put: bucket.ObjectPut, file: IO[bytes]
    ) -> None:
        self.key = key
        self._client = client
        self._put = put
        self._file = file
        self._sent: list[Future[str]] = []

    def send(self, size: int) -> None:
        """Begin to send all parts that are complete once the file has so many bytes."""
        while (len(self._sent) + 1) * self._put.part_bytes <= size:
            self._send(self._put.part_bytes)

    def have_failed(self) -> bool:
        """Whether a part could not be sent."""
        return any(part.done() and part.exception() is not None for part in self._sent)

    def finish(self, size: int) -> None:
        """Send what is left of a file of so many bytes, and store the object.

        Raises:
            PiCloudError: When that fails; then the upload is given up.
        """
        try:
            self.send(size)
            if (left := size - len(self._sent) * self._put.part_bytes) > 0:
                self._send(left)
            md5s = [part.result() for part in self._sent]
            self._client.finish(self.key, self._put.upload, md5s)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give up the upload; afterwards the file is not read any longer."""
        for part in self._sent:
            if not part.cancel():
                part.exception()
        with contextlib.suppress(PiCloudError):  # an earlier error says more
            self._client.abort(self.key, self._put.upload)

    def _send(self, size: int) -> None:
        number = len(self._sent) + 1
        part = HashedPart(self._file, (number - 1) * self._put.part_bytes, size)
        send_part, threads = self._client.send_part, self._client.threads()
        self._sent.append(threads.submit(send_part, self.key, self._put.upload, number, part))


def _range(opened: bucket.OpenedObject, start: int, end: int) -> dict[str, str]:
    etag = opened.object.etag
    return {"range": f"bytes={start}-{end - 1}", "if-match": f'"{etag}"'}


def _md5(part: FilePart) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in part.pieces():
        digest.update(piece)
    return digest.hexdigest()
