"""Blobs of an account: content addressed, so that the same bytes are kept and sent once."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.wire import BlobsMissing, BlobsRead, Stored, Upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.blobs import BlobPort, Presigned

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Bytes by their SHA-256, each account's apart."""

    def __init__(self, port: BlobPort) -> None:
        self._port = port

    async def missing(self, account: str, digests: Sequence[str]) -> BlobsMissing:
        """Those the account has not stored yet, and where to send them."""
        names = await self._port.missing([_name(account, digest) for digest in digests])
        lacking = [name.partition("/")[2] for name in names]
        return BlobsMissing(uploads=[Upload(digest, f"/v1/blobs/{digest}") for digest in lacking])

    async def store(self, account: str, blobs: Sequence[bytes]) -> Stored:
        """Keep some bytes; answers their digests."""
        digests = [sha256(blob).hexdigest() for blob in blobs]
        for digest, blob in zip(digests, blobs, strict=True):
            await self._port.put(_name(account, digest), blob)
        return Stored(digests=digests)

    async def put(self, account: str, digest: str, data: bytes) -> None:
        """Keep bytes under the digest their sender computed.

        Raises:
            RequestRefused: When the bytes have another digest.
        """
        if sha256(data).hexdigest() != digest:
            raise RequestRefused("The bytes sent do not have this digest.", field="digest")
        await self._port.put(_name(account, digest), data)

    async def get(self, account: str, digest: str) -> bytes | Presigned:
        """The bytes, or where to read them.

        Raises:
            BlobMissing: When the account has stored no such bytes.
        """
        name = _name(account, digest)
        if (url := await self._port.presign_get(name)) is not None:
            return url
        return await self._read(name)

    async def read(self, account: str, digests: Sequence[str]) -> BlobsRead:
        """Several small blobs in the order asked."""
        return BlobsRead(blobs=[await self._read(_name(account, each)) for each in digests])

    async def _read(self, name: str) -> bytes:
        try:
            return await self._port.get(name)
        except BlobMissing:
            digest = name.partition("/")[2]
            raise BlobMissing(digests=(digest,)) from None


def _name(account: str, digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise RequestRefused("A digest is the SHA-256 of the bytes in hex.", field="digest")
    return f"{account}/{digest}"
