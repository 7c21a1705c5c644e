"""Blobs of an account: named by their digest, so that equal bytes are stored and sent once."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing, RequestRefused, TooLarge, Unavailable
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import READ_BYTES, BlobsMissing, BlobsRead, BlobsStored, Upload
from picloud_model.wire.blob import SharedDirectories

from picloud_api.store.blob_name import blob_name, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from picloud_driver.blob import BlobPort, Presigned
    from picloud_model.wire import Content, MissingBlobsRequest

    from picloud_api.store.small_blobs import SmallBlobs
    from picloud_api.usecases.storage.known_blobs import KnownBlobs

SMALL_BYTES: Final = 256 * 1024
"""What is read of several blobs at once, before it is known how large they are."""
_AT_ONCE: Final = 8
"""Small blobs that are stored or read at the same time for one request."""
REFUSED_S: Final = 10.0
"""For how long it is known that bytes could not be stored; a slot sends a result every second."""
PIECE_BYTES: Final = 1024 * 1024
"""How much of a large blob is in memory at once while it is sent."""


class StoredBlob:
    """A blob that is sent piece by piece; the first piece has been read."""

    def __init__(self, port: BlobPort, name: str, size: int, first: bytes) -> None:
        self._port = port
        self._name = name
        self.first = first
        self.size = size

    @property
    def digest(self) -> str:
        """The SHA-256 under which it is stored, in hex."""
        return digest_of(self._name)

    @property
    def is_whole(self) -> bool:
        """Whether the first piece is the whole blob."""
        return len(self.first) == self.size

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield its bytes."""
        yield self.first
        for start in range(len(self.first), self.size, PIECE_BYTES):
            yield await self._port.get(self._name, start, min(self.size, start + PIECE_BYTES))


class Blobs:
    """Stores and reads bytes by their SHA-256, separately for each account."""

    def __init__(
        self,
        port: BlobPort,
        known: KnownBlobs,
        cache: SmallBlobs,
        clock: Callable[[], float],
    ) -> None:
        self._port = port
        self._known = known
        self._cache = cache
        self._clock = clock
        self._refused: dict[str, tuple[float, str]] = {}

    async def missing(self, account: str, request: MissingBlobsRequest) -> BlobsMissing:
        """Return the blobs that the account has not stored yet, and where to send each.

        Raises:
            RequestRefused: When sizes are given, but not one for each digest.
        """
        if request.sizes and len(request.sizes) != len(request.digests):
            raise RequestRefused("There is not one size for each digest.", field="sizes")
        if request.failure:
            self._refuse(account, request.failure)
        await self._known.keep(account, request.digests)
        sizes = dict(zip(request.digests, request.sizes, strict=False))
        if request.files == "written":
            await self._adopt(account, sizes)
        names = await self._port.missing([blob_name(account, digest) for digest in request.digests])
        uploads = [await self._upload(name, sizes.get(digest_of(name))) for name in names]
        if request.files != "where":
            return BlobsMissing(uploads=uploads)
        files = await self._port.files(account)
        if files is None:
            return BlobsMissing(uploads=uploads, unsealed=True)
        shown = SharedDirectories(files.blobs, files.incoming, files.proof)
        return BlobsMissing(uploads=uploads, files=shown, unsealed=True)

    async def _adopt(self, account: str, sizes: Mapping[str, int]) -> None:
        """Store files that a process of this machine has written.

        Their bytes are not read here: each reader of a blob compares them with its digest.
        """
        for digest, size in sizes.items():
            if await self._port.adopt(blob_name(account, digest), size):
                self._known.stored(account, digest)

    async def _upload(self, name: str, size: int | None) -> Upload:
        """Return where to send a blob: a large one to the blob store, a small one to the API.

        Small ones are sent many at a time, which the blob store cannot do.
        """
        digest = digest_of(name)
        if size is not None and size > INLINE_BYTES:
            presigned = await self._port.presign_put(name, size, digest)
            if presigned is not None:
                return Upload(digest, presigned.url, presigned.headers)
        return Upload(digest, f"/v1/blobs/{digest}")

    async def store(self, account: str, blobs: Sequence[bytes]) -> BlobsStored:
        """Store some blobs and return their digests."""
        digests = [sha256(blob).hexdigest() for blob in blobs]
        for start in range(0, len(blobs), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            puts = map(partial(self._put, account), digests[some], blobs[some])
            await asyncio.gather(*puts)
        return BlobsStored(digests=digests)

    async def put(self, account: str, digest: str, data: bytes) -> None:
        """Store bytes under the digest that their sender computed.

        Raises:
            RequestRefused: When the bytes have another digest.
        """
        if sha256(data).hexdigest() != digest:
            raise RequestRefused("The bytes sent do not have this digest.", field="digest")
        await self._put(account, digest, data)

    def refusal(self, account: str) -> str:
        """Return why bytes of an account could not be stored just now; "" if they could be."""
        refused_at, message = self._refused.get(account, (-REFUSED_S, ""))
        return message if self._clock() < refused_at + REFUSED_S else ""

    def _refuse(self, account: str, message: str) -> None:
        self._refused[account] = (self._clock(), message)

    async def _put(self, account: str, digest: str, data: bytes) -> None:
        name = blob_name(account, digest)
        try:
            if not await self._port.put(name, data):
                # It may be about to be deleted, as nothing refers to it.
                await self._known.keep(account, [digest])
                await self._port.put(name, data)
        except Unavailable as error:
            self._refuse(account, error.message)
            raise
        self._known.stored(account, digest)
        if len(data) <= SMALL_BYTES:
            self._cache.put(name, data)

    async def get(self, account: str, digest: str) -> StoredBlob | Presigned:
        """Return the blob, or the address to read them from.

        Raises:
            BlobMissing: When the account has stored no such bytes.
        """
        name = blob_name(account, digest)
        if (url := await self._port.presign_get(name)) is not None:
            # The blob store would report a missing blob with an error of its own.
            if await self._port.missing([name]):
                raise BlobMissing(digests=(digest,))
            return url
        first = await self._read(name, PIECE_BYTES)
        size = len(first) if len(first) < PIECE_BYTES else await self._port.size(name)
        return StoredBlob(self._port, name, size, first)

    async def read(
        self, account: str, digests: Sequence[str], hold: Callable[[int], Awaitable[object]]
    ) -> BlobsRead:
        """Return the first of several small blobs, as many as fit into a reply.

        Args:
            account: The account that stored them.
            digests: Their digests; a repeated one is read once.
            hold: Counts bytes that the reply holds in memory.

        Raises:
            TooLarge: When the first one alone is larger than a reply.
        """
        blobs: list[bytes] = []
        read: dict[str, bytes] = {}
        size = 0
        for start in range(0, len(digests), _AT_ONCE):
            some = digests[start : start + _AT_ONCE]
            read |= await self._beginnings(account, [each for each in some if each not in read])
            for digest in some:
                data = read[digest]
                if len(data) == SMALL_BYTES + 1:
                    data = await self._read(blob_name(account, digest), READ_BYTES + 1)
                    read[digest] = data
                size += len(data)
                if size > READ_BYTES:
                    if not blobs:
                        raise TooLarge(f"Blob {digest} is too large for this; read it by GET.")
                    return BlobsRead(blobs=blobs)
                await hold(len(data))
                blobs.append(data)
        return BlobsRead(blobs=blobs)

    async def _beginnings(self, account: str, digests: Sequence[str]) -> dict[str, bytes]:
        """Return the bytes of small blobs by digest, and a little too much of large ones."""
        unique = list(dict.fromkeys(digests))
        reads = (self._beginning(blob_name(account, digest)) for digest in unique)
        return dict(zip(unique, await asyncio.gather(*reads), strict=True))

    async def _beginning(self, name: str) -> bytes:
        if (data := self._cache.get(name)) is None:
            data = await self._read(name, SMALL_BYTES + 1)
            if len(data) <= SMALL_BYTES:
                self._cache.put(name, data)
        return data

    async def read_checked(self, account: str, content: Content, limit: int) -> bytes:
        """Return the bytes of a blob whose size and digest a slot or a client reported.

        Raises:
            BlobMissing: When there are no such bytes: none at all, or others.
            TooLarge: When there are said to be more than `limit`.
        """
        if content.size > limit:
            raise TooLarge(f"The blob is larger than {limit // 2**20} MiB.")
        # No more is read than was announced.
        name = blob_name(account, content.digest)
        data = await self._port.get(name, 0, content.size) if content.size > 0 else b""
        if sha256(data).hexdigest() != content.digest:
            raise BlobMissing(digests=(content.digest,))
        return data

    async def stored(self, account: str, content: Content) -> StoredBlob:
        """Return a blob, whose size a slot reported, to be sent by this process.

        Raises:
            BlobMissing: When the account has stored no such bytes.
        """
        name = blob_name(account, content.digest)
        first = await self._read(name, PIECE_BYTES)
        return StoredBlob(self._port, name, content.size, first)

    async def _read(self, name: str, most: int) -> bytes:
        try:
            return await self._port.get(name, 0, most)
        except BlobMissing:
            raise BlobMissing(digests=(digest_of(name),)) from None
