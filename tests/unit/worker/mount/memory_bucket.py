"""A bucket in memory, in place of the server's."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, cast

from picloud_model.errors import ObjectChanged, ObjectNotFound, Unavailable
from picloud_model.wire.bucket import (
    PART_BYTES,
    ListedObject,
    ObjectDescription,
    ObjectPut,
    OpenedObject,
    PathFound,
)
from picloud_worker.mount.client import PartsUpload

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from picloud_worker.api.file_part import HashedPart
    from picloud_worker.mount.client import MountClient


class MemoryBucket:
    """Does what `MountClient` does, and counts the bytes that are read and the writes."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)
        self.read_bytes = self.writes = self.uploads = self.streams = 0
        self.parts: dict[tuple[str, int], bytes] = {}
        """The bytes of parts that were sent, by upload and number."""
        self._threads = ThreadPoolExecutor(1)
        self.is_away = False
        self.breaks_after = -1
        self._hashed: bytes | None = None
        self._etag = ""

    def find(self, path: str) -> PathFound:
        """See `MountClient.find`."""
        found = self._described(path) if path in self.objects else None
        return PathFound(object=found, folder=bool(self.first(f"{path}/")))

    def open(self, key: str) -> OpenedObject:
        """See `MountClient.open`."""
        if key not in self.objects:
            raise ObjectNotFound
        return OpenedObject(object=self._described(key), url="")

    def read(self, opened: OpenedObject, start: int, end: int) -> bytes:
        """See `MountClient.read`."""
        now = self.objects.get(opened.object.key, b"")
        if now is not self._hashed:  # once for each content: it may be read in small pieces
            self._hashed, self._etag = now, hashlib.md5(now).hexdigest()
        if self._etag != opened.object.etag:
            raise ObjectChanged
        self.read_bytes += end - start
        return now[start:end]

    def stream(
        self, opened: OpenedObject, start: int, end: int
    ) -> Generator[int, memoryview, None]:
        """See `MountClient.stream`; it breaks once after `breaks_after` reads."""
        self.streams += 1
        count = 0
        while start < end:
            buffer = yield count
            if self.breaks_after == 0:
                self.breaks_after = -1
                raise Unavailable
            self.breaks_after -= 1
            count = min(len(buffer), end - start)
            buffer[:count] = self.read(opened, start, start + count)
            start += count
        yield count

    def write(self, key: str, file: IO[bytes], size: int, headers: dict[str, str]) -> None:
        """See `MountClient.write`."""
        if self.is_away:
            raise Unavailable
        self.writes += 1
        self.objects[key] = os.pread(file.fileno(), size, 0) if size else b""

    def begin(self, key: str, file: IO[bytes]) -> PartsUpload:
        """See `MountClient.begin`."""
        self.uploads += 1
        put = ObjectPut(upload=str(self.uploads), part_bytes=PART_BYTES)
        return PartsUpload(cast("MountClient", self), key, put, file)

    def send_part(self, key: str, upload: str, number: int, part: HashedPart) -> str:
        """See `MountClient.send_part`."""
        if self.is_away:
            raise Unavailable
        self.parts[upload, number] = b"".join(part.pieces())
        return part.md5

    def finish(self, key: str, upload: str, md5s: list[str]) -> None:
        """See `MountClient.finish`."""
        parts = [self.parts.pop((upload, number)) for number in range(1, len(md5s) + 1)]
        self.objects[key] = b"".join(parts)

    def abort(self, key: str, upload: str) -> None:
        """See `MountClient.abort`."""
        self.parts = {name: data for name, data in self.parts.items() if name[0] != upload}

    def threads(self) -> ThreadPoolExecutor:
        """See `MountClient.threads`."""
        return self._threads

    def names(self, prefix: str) -> Iterator[ListedObject | str]:
        """See `MountClient.names`."""
        folders = set()
        for key in sorted(self.objects):
            if key.startswith(prefix):
                name, slash, _ = key[len(prefix) :].partition("/")
                if slash:
                    folders.add(f"{prefix}{name}/")
                else:
                    yield ListedObject(key, len(self.objects[key]), "", 0.0)
        yield from sorted(folders)

    def keys(self, prefix: str) -> Iterator[list[str]]:
        """See `MountClient.keys`."""
        if keys := self.first(prefix, len(self.objects)):
            yield keys

    def first(self, prefix: str, count: int = 1) -> list[str]:
        """See `MountClient.first`."""
        return [key for key in sorted(self.objects) if key.startswith(prefix)][:count]

    def remove(self, keys: list[str]) -> None:
        """See `MountClient.remove`."""
        for key in keys:
            self.objects.pop(key, None)

    def copy(self, source: str, target: str) -> None:
        """See `MountClient.copy`."""
        self.objects[target] = self.objects[source]

    def _described(self, key: str) -> ObjectDescription:
        data: Any = self.objects[key]
        etag = hashlib.md5(data).hexdigest()
        return ObjectDescription(key=key, size=len(data), etag=etag, modified_at=1.0)
