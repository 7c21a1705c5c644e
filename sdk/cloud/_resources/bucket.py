"""Buckets: objects that an account stores under keys."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, Any, Final

from picloud_model.wire import Answer
from picloud_model.wire import bucket as wire

from cloud._resources.object_download import CloudBucketObject, OpenedVersion, download, pieces
from cloud._resources.object_upload import (
    BytesSource,
    FileSource,
    Source,
    Uploader,
    md5_of,
    spooled,
)
from cloud._resources.upload_record import upload_record
from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloud._http.transport import Transport
    from cloud._resources.object_upload import Progress

NOT_FOUND: Final = "object.not_found"
"""The code of the error that there is no such object."""


def _silent(size: int) -> None:
    del size


class TruncatableList(list[str]):
    """Some keys in the order of their bytes.

    Attributes:
        truncated: Whether more keys follow; list them with the last of these as `marker`.

    >>> TruncatableList(["a"], truncated=True).truncated
    True
    """

    def __init__(self, keys: Iterable[str] = (), *, truncated: bool = False) -> None:
        super().__init__(keys)
        self.truncated = truncated


class BucketClient:
    """Stores, reads, lists and removes objects."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._uploader = Uploader(transport)

    def put_file(self, path: Any, key: str, progress: Progress = _silent) -> None:
        """Store a file.

        Raises:
            CloudException: When it cannot be read.
        """
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a path may be of any kind
                if file.seekable():
                    self._put_open_file(key, file, os.path.abspath(path), progress)  # noqa: PTH100
                else:
                    self.put_object(file, key, progress)  # a pipe, as of `<(...)` in a shell
        except OSError as error:
            raise CloudException(f"{path} cannot be read: {error.strerror or error}.") from error

    def put_object(self, data: Any, key: str, progress: Progress = _silent) -> None:
        """Store text (as UTF-8), bytes, or what a file has from its position on.

        Raises:
            CloudException: When it is something else.
        """
        if isinstance(data, str):
            data = data.encode()
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._put(key, BytesSource(bytes(data)), progress)
        elif not hasattr(data, "read"):
            raise CloudValueError(f"putf takes text, bytes or a file, not {data!r:.80}.")
        elif _is_binary_file(data):
            self._put(key, FileSource(data), progress)
        else:
            with spooled(data) as file:
                self._put(key, FileSource(file), progress)

    def _put_open_file(
        self, key: str, file: IO[bytes], path: str | bytes, progress: Progress
    ) -> None:
        source = FileSource(file)
        if source.size <= wire.WHOLE_OBJECT_BYTES:
            self._put(key, source, progress)
        else:
            address = self._transport.address
            names = (address.url, address.key_id, key, os.fsdecode(path))
            with upload_record(*names) as record:
                self._uploader.put(key, source, _headers(key), progress, record=record)

    def _put(self, key: str, source: Source, progress: Progress) -> None:
        self._uploader.put(key, source, _headers(key), progress)

    def open(self, key: str) -> OpenedVersion:
        """Return the current version of an object, to be read.

        Raises:
            CloudException: When there is no such object.
        """
        return OpenedVersion(self._transport, key)

    def reader(self, key: str, start: int = 0, end: int | None = None) -> CloudBucketObject:
        """Return bytes `start .. end-1` of an object as a file."""
        version = self.open(key)
        return CloudBucketObject(version, *span_of(version, start, end))

    def get_file(
        self,
        key: str,
        path: str,
        start: int = 0,
        end: int | None = None,
        *,
        progress: Progress = _silent,
    ) -> None:
        """Write bytes `start .. end-1` of an object to a file."""
        version = self.open(key)
        download(version, path, span_of(version, start, end), progress)

    def info(self, key: str) -> wire.ObjectDescription:
        """Return what is known of an object.

        Raises:
            CloudException: When there is no such object.
        """
        body = wire.ObjectRequest(key=key)
        return self._transport.post("/v1/bucket/info", body, wire.ObjectDescription)

    def find(self, key: str) -> wire.ObjectDescription | None:
        """Return what is known of an object; None if there is none."""
        try:
            return self.info(key)
        except CloudException as error:
            if error.code != NOT_FOUND:
                raise
            return None

    def path(self, path: str) -> wire.PathFound:
        """Return the object of this key, if any, and whether keys go on after it with a `/`."""
        body = wire.PathRequest(path=path)
        return self._transport.post("/v1/bucket/path", body, wire.PathFound)

    def md5(self, key: str) -> str:
        """Return the MD5 of an object in hex; it is read if it was stored without one."""
        version = self.open(key)
        if version.object.md5:
            return version.object.md5
        digest = hashlib.md5(usedforsecurity=False)
        for piece in pieces(version, 0, version.object.size):
            digest.update(piece)
        return digest.hexdigest()

    def is_equal(self, key: str, path: Any) -> bool:
        """Whether there is an object with the bytes of a file."""
        known = self.find(key)
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                source = FileSource(file)
                if known is None or known.size != source.size:
                    return False
                return (known.md5 or self.md5(key)) == md5_of(source)
        except OSError as error:
            raise CloudException(f"{path} cannot be read: {error.strerror or error}.") from error

    def page(
        self, prefix: str, marker: str, max_keys: int, *, folderize: bool
    ) -> wire.ObjectsListed:
        """Return up to 1,000 objects and folders after a marker."""
        body = wire.ListObjectsRequest(
            prefix=prefix, marker=marker, folderize=folderize, max_keys=max_keys
        )
        return self._transport.post("/v1/bucket/list", body, wire.ObjectsListed)

    def keys(
        self, prefix: str, marker: str, max_keys: int, *, folderize: bool
    ) -> tuple[list[str], bool]:
        """Return up to 1,000 keys and folders after a marker, and whether more follow."""
        most = max(1, min(max_keys, wire.MAX_LISTED))
        page = self.page(prefix, marker, most, folderize=folderize)
        names = [each.key for each in page.objects]
        if page.folders:
            names = sorted([*names, *page.folders], key=str.encode)
        return names, page.truncated

    def objects(self, prefix: str) -> Iterator[wire.ListedObject]:
        """Yield all objects whose keys begin with a prefix, in the order of their bytes."""
        marker, truncated = "", True
        while truncated:
            page = self.page(prefix, marker, wire.MAX_LISTED, folderize=False)
            yield from page.objects
            truncated = page.truncated
            marker = page.objects[-1].key if page.objects else marker

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects, 1,000 in a request; missing ones are not an error."""
        for start in range(0, len(keys), wire.MAX_LISTED):
            body = wire.RemoveObjectsRequest(keys=list(keys[start : start + wire.MAX_LISTED]))
            self._transport.post("/v1/bucket/remove", body, Answer)

    def copy(self, source: str, target: str) -> wire.ObjectDescription:
        """Copy an object where it is stored.

        Raises:
            CloudException: When there is no such object.
        """
        body = wire.CopyObjectRequest(source=source, target=target)
        return self._transport.post("/v1/bucket/copy", body, wire.ObjectDescription)

    def publish(
        self, key: str, *, public: bool, headers: Mapping[str, str], reset_headers: bool = False
    ) -> wire.ObjectDescription:
        """Make an object public or private, and change its headers."""
        body = wire.PublishObjectRequest(
            key=key, public=public, headers=dict(headers), reset_headers=reset_headers
        )
        return self._transport.post("/v1/bucket/publish", body, wire.ObjectDescription)

    def public_folder(self) -> str:
        """Return the URL below which public objects are."""
        answer = self._transport.post(
            "/v1/bucket/folder", wire.PublicFolderRequest(), wire.PublicFolder
        )
        return f"{self._transport.address.url}{answer.path}"


def span_of(version: OpenedVersion, start: int, end: int | None) -> tuple[int, int]:
    """Return a range of bytes, as far as the object has them.

    Raises:
        CloudException: When it is not a range.
    """
    size = version.object.size
    numbers = isinstance(start, int) and (end is None or isinstance(end, int))
    if not numbers or start < 0 or (end is not None and end < start):
        raise CloudValueError(
            "start_byte must be a whole number from 0, and end_byte one from start_byte or None, "
            f"not {start!r:.80} and {end!r:.80}."
        )
    return min(start, size), size if end is None else min(end, size)


def _headers(key: str) -> dict[str, str]:
    """Return the headers of an object with this key."""
    import mimetypes  # noqa: PLC0415 - 8 ms of `import cloud`

    kind, encoding = mimetypes.guess_type(key, strict=False)
    return {"content-type": kind} if kind and not encoding else {}


def _is_binary_file(stream: Any) -> bool:
    """Whether any bytes of a stream can be read, more than once."""
    seekable = getattr(stream, "seekable", None)
    if seekable is None or not seekable():
        return False
    return isinstance(stream.read(0), bytes)
