"""Blobs in a bucket of S3: shared by every server process of the stack.

A blob `a/b` is the object `<prefix>a/b!`.
"""

from __future__ import annotations

import asyncio
import base64
import re
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import compress
from os.path import commonprefix
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from picloud_model.errors import BlobMissing, RequestRefused, TooLarge

from picloud_driver.blob.name import checked_name, is_name
from picloud_driver.blob.port import BlobPort, BlobTotals, Presigned
from picloud_driver.s3.gateway import PAGE_KEYS, S3Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from picloud_driver.blob.port import BlobFiles
    from picloud_driver.s3.client import S3Access
    from picloud_driver.s3.gateway import KeyPage

_T = TypeVar("_T")

_END: Final = "!"
"""Ends each key, as a server that keeps objects as files cannot store both `a` and `a/b`.

No name contains it, and it sorts before every character of names, so that keys sort as names do.
"""
_PREFIX: Final = re.compile(r"([A-Za-z0-9_-]+/){0,4}")
_PREFIX_CHARACTERS: Final = 64
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_ONE_REQUEST_BYTES: Final = 5 * 1024**3
"""The largest body of a PUT to S3."""
_FEW: Final = 100
"""As many single requests take about as long as a page of a listing."""
_SEVERAL: Final = 8
"""As many single requests take about as long as a listing of a folder that holds little."""


class S3Blobs(BlobPort):
    """Keeps each blob as an object; makes no request before the first call.

    Args:
        access: Address, credentials and bucket.
        prefix: The prefix of all keys; a policy must permit it.
        threads: How many requests may run at once.

    Raises:
        RequestRefused: When the prefix is not a path of plain names that ends with `/`.
    """

    adapter: ClassVar[str] = "s3"

    def __init__(self, access: S3Access, *, prefix: str = "blobs/", threads: int = 16) -> None:
        if not _PREFIX.fullmatch(prefix) or len(prefix) > _PREFIX_CHARACTERS:
            raise RequestRefused(f"{prefix!r} cannot begin keys; use names with a '/' behind each.")
        self._prefix = prefix
        self._gateway = S3Gateway(access, connections=threads)
        self._threads = ThreadPoolExecutor(threads, "s3")
        self._full: set[str] = set()
        """Folders, one an account, that held more than a listing for a few keys returns."""

    def __repr__(self) -> str:
        return f"S3Blobs({self._gateway.where!r}, {self._prefix!r})"

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it exists.

        Raises:
            Unavailable: When it belongs to another account, or S3 does not answer.
        """
        await self._ask(self._gateway.ensure_bucket)

    async def put(self, name: str, data: bytes) -> bool:
        """See `BlobPort.put`.

        After a lost answer, the repeated request finds the name taken and returns False.
        """
        return await self._ask(self._gateway.write, self._key(name), data)

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See `BlobPort.get`; a range that extends past the end is cut off there."""
        key = self._key(name)
        if start < 0 or (end is not None and end < 0):
            message = f"A range of a blob begins and ends at 0 or later, not {start} to {end}."
            raise RequestRefused(message)
        try:
            return await self._ask(self._gateway.read, key, start, end)
        except BlobMissing:
            raise BlobMissing(f"There is no blob {name}.") from None

    async def size(self, name: str) -> int:
        """See `BlobPort.size`."""
        size = await self._ask(self._gateway.size, self._key(name))
        if size is None:
            await self._ask(self._gateway.look)
            raise BlobMissing(f"There is no blob {name}.")
        return size

    async def missing(self, names: Sequence[str]) -> list[str]:
        """See `BlobPort.missing`."""
        keys = [self._key(name) for name in names]
        wanted = sorted(set(keys))
        existing: set[str] = set()
        begin = 0
        while most := self._worth_listing(wanted[begin:]):
            prefix = commonprefix([wanted[begin], wanted[-1]])  # noqa: RUF071 - keys are not paths
            after = wanted[begin].removesuffix(_END)
            page = await self._ask(partial(self._gateway.page, prefix, after, most=most))
            existing.update(page.keys)
            if page.rest:
                self._full.add(_folder(prefix))
            end = _decided(wanted, page)
            if end - begin <= _FEW:
                begin = max(begin, end)
                break
            begin = end
        existing.update(await self._existing(wanted[begin:]))
        return [name for name, key in zip(names, keys, strict=True) if key not in existing]

    async def delete(self, name: str) -> None:
        """See `BlobPort.delete`."""
        await self._ask(self._gateway.remove, self._key(name))

    async def names(self, prefix: str) -> AsyncIterator[str]:
        """See `BlobPort.names`; each page of the listing is read when it is reached."""
        async for name, _ in self._listed(prefix):
            yield name

    async def usage(self, prefix: str) -> BlobTotals:
        """See `BlobPort.usage`; the listing tells the sizes, too."""
        blobs = size = 0
        async for _, length in self._listed(prefix):
            blobs += 1
            size += length
        return BlobTotals(blobs, size)

    async def _listed(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        if not _begins_a_name(prefix):
            return
        rest = ""
        while True:
            page = await self._ask(self._gateway.page, self._prefix + prefix, "", rest)
            for key, size in zip(page.keys, page.sizes, strict=True):
                name = key[len(self._prefix) : -len(_END)]
                if key.endswith(_END) and is_name(name):
                    yield name, size
            rest = page.rest
            if not rest:
                return

    async def presign_put(self, name: str, size: int, digest: str) -> Presigned | None:
        """See `BlobPort.presign_put`; valid for 5 minutes, and only while the name is free.

        S3 answers 412 once the name is taken: the blob then exists.
        """
        key = self._key(name)
        if not _DIGEST.fullmatch(digest):
            raise RequestRefused("A digest is the SHA-256 of the bytes in hex.", field="digest")
        if not 0 <= size <= _ONE_REQUEST_BYTES:
            message = f"{size} bytes cannot be written at once; at most {_ONE_REQUEST_BYTES} can."
            raise TooLarge(message, field="size")
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        url, headers = await self._ask(self._gateway.presign_write, key, size, checksum)
        return Presigned(url, headers)

    async def presign_get(self, name: str) -> Presigned | None:
        """See `BlobPort.presign_get`; valid for a minute, in which it is followed."""
        return Presigned(await self._ask(self._gateway.presign_read, self._key(name)))

    async def files(self, folder: str) -> BlobFiles | None:
        """Return None: blobs are objects."""
        checked_name(folder)
        return None

    async def adopt(self, name: str, size: int) -> bool:  # noqa: ARG002
        """See `BlobPort.adopt`; nothing is left here, as blobs are objects."""
        return not await self.missing([name])

    async def ping(self) -> None:
        """See `BlobPort.ping`."""
        await self._ask(self._gateway.look)

    async def close(self) -> None:
        """See `BlobPort.close`."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._gateway.close()

    def _worth_listing(self, keys: Sequence[str]) -> int:
        """How many keys to list to find out which of these exist; 0 if it is not worth it."""
        if len(keys) > _FEW:
            return PAGE_KEYS
        if len(keys) < _SEVERAL or _folder(keys[0]) in self._full:
            return 0
        return 2 * len(keys)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{checked_name(name)}{_END}"

    async def _existing(self, keys: Sequence[str]) -> list[str]:
        """Return the keys that exist, by one request for each."""
        flags = await asyncio.gather(*(self._ask(self._gateway.exists, key) for key in keys))
        if not all(flags):
            # A missing bucket is an error, not a missing key.
            await self._ask(self._gateway.look)
        return list(compress(keys, flags))

    async def _ask(self, question: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *arguments)


def _folder(key: str) -> str:
    """Return a key up to its last `/`.

    >>> _folder("blobs/a0000001/00")
    'blobs/a0000001/'
    """
    return key[: key.rfind("/") + 1]


def _decided(wanted: Sequence[str], page: KeyPage) -> int:
    """How many of the sorted keys a page decides: those up to its last key."""
    if not page.rest:
        return len(wanted)
    return bisect_right(wanted, page.keys[-1]) if page.keys else 0


def _begins_a_name(prefix: str) -> bool:
    head, slash, tail = prefix.rpartition("/")
    return (not slash or is_name(head)) and (tail in {"", ".", ".."} or is_name(tail))
