"""Blobs of an account: content addressed, so that the same bytes are kept and sent once."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import BlobsMissing, BlobsRead, BlobsStored, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.blobs import BlobPort, Presigned
    from picloud_model.wire import MissingBlobsRequest

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Bytes by their SHA-256, each account's apart."""

    def __init__(self, port: BlobPort) -> None:
        self._port = port

    async def missing(self, account: str, asked: MissingBlobsRequest) -> BlobsMissing:
        """Those the account has not stored yet, and where to send them.

        Raises:
            RequestRefused: When sizes are told, but not one for each digest.
        """
        if asked.sizes and len(asked.sizes) != len(asked.digests):
            raise RequestRefused("There is not one size for each digest.", field="sizes")
        sizes = dict(zip(asked.digests, asked.sizes, strict=False))
        names = await self._port.missing([blob_name(account, digest) for digest in asked.digests])
        uploads = [await self._upload(name, sizes.get(name.partition("/")[2])) for name in names]
        return BlobsMissing(uploads=uploads)

    async def _upload(self, name: str, size: int | None) -> Upload:
        """Large bytes go where they will lie, small ones in company through the API."""
        digest = name.partition("/")[2]
        if size is not None and size > INLINE_BYTES:
            presigned = await self._port.presign_put(name, size, digest)
            if presigned is not None:
                return Upload(digest, presigned.url, presigned.headers)
        return Upload(digest, f"/v1/blobs/{digest}")

    async def store(self, account: str, blobs: Sequence[bytes]) -> BlobsStored:
        """Keep some bytes; answers their digests."""
        digests = [sha256(blob).hexdigest() for blob in blobs]
        for digest, blob in zip(digests, blobs, strict=True):
            await self._port.put(blob_name(account, digest), blob)
        return BlobsStored(digests=digests)

    async def put(self, account: str, digest: str, data: bytes) -> None:
        """Keep bytes under the digest their sender computed.

        Raises:
            RequestRefused: When the bytes have another digest.
        """
        if sha256(data).hexdigest() != digest:
            raise RequestRefused("The bytes sent do not have this digest.", field="digest")
        await self._port.put(blob_name(account, digest), data)

    async def get(self, account: str, digest: str) -> bytes | Presigned:
        """The bytes, or where to read them.

        Raises:
            BlobMissing: When the account has stored no such bytes.
        """
        name = blob_name(account, digest)
        if (url := await self._port.presign_get(name)) is not None:
            # A blob store answers in words of its own: what is not there is said here.
            if await self._port.missing([name]):
                raise BlobMissing(digests=(digest,))
            return url
        return await self._read(name)

    async def read(self, account: str, digests: Sequence[str]) -> BlobsRead:
        """Several small blobs in the order asked."""
        return BlobsRead(blobs=[await self._read(blob_name(account, each)) for each in digests])

    async def _read(self, name: str) -> bytes:
        try:
            return await self._port.get(name)
        except BlobMissing:
            digest = name.partition("/")[2]
            raise BlobMissing(digests=(digest,)) from None


def blob_name(account: str, digest: str) -> str:
    """The name under which the blob port knows an account's bytes.

    Raises:
        RequestRefused: When that is no digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise RequestRefused("A digest is the SHA-256 of the bytes in hex.", field="digest")
    return f"{account}/{digest}"
