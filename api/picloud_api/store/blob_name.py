"""The names of blobs in the blob port, and the digests that a bundle names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.wire import Manifest

if TYPE_CHECKING:
    from picloud_driver.blob import BlobPort

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""The longest list of a bundle's modules: some 150,000 of them."""
_MANIFEST: Final = msgspec.msgpack.Decoder(Manifest)


def blob_name(account: str, digest: str) -> str:
    """Return the name of an account's blob in the blob port.

    Raises:
        RequestRefused: When it is not a digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise RequestRefused("A digest is the SHA-256 of the bytes in hex.", field="digest")
    return f"{account}/{digest}"


def digest_of(name: str) -> str:
    """Return the digest in the name of a blob.

    >>> digest_of(blob_name("a0000001", "0" * 64)) == "0" * 64
    True
    """
    return name.partition("/")[2]


async def modules_of(port: BlobPort, account: str, bundle: str) -> list[str]:
    """Return the digests of the modules of a bundle; none if there is no such bundle."""
    try:
        data = await port.get(blob_name(account, bundle), 0, MANIFEST_BYTES)
        manifest = _MANIFEST.decode(data)
    except (BlobMissing, msgspec.MsgspecError):
        return []
    return [module.digest for module in manifest.modules]
