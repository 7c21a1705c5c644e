"""Large results: bytes and text that are sent piece by piece, as they are too large for memory."""

from __future__ import annotations

import codecs
import struct
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.errors import BlobMissing
from picloud_model.pack import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_api.usecases.storage.blob import StoredBlob

_PROTOCOLS: Final = (b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LENGTHS: Final = {
    b"B": (bytes, struct.Struct("<I")),
    b"\x8e": (bytes, struct.Struct("<Q")),
    b"X": (str, struct.Struct("<I")),
    b"\x8d": (str, struct.Struct("<Q")),
}
"""The opcodes of long bytes and text, which their length follows."""
_ENDS: Final = (1, 2, 3)
"""How many bytes may follow them: the end of the pickle, and what puts them into its memo."""


class ByteSpan(NamedTuple):
    """Where in a parcel bytes or text are: `start .. stop-1`."""

    kind: type
    start: int
    stop: int


def span_of(beginning: bytes, size: int) -> ByteSpan | None:
    r"""Return where in a parcel its bytes or text are; None if it is another value.

    Only the first opcodes are read. What makes up such a parcel is not executed.

    Args:
        beginning: The first bytes of the parcel.
        size: Its length in bytes.

    >>> import pickle
    >>> from picloud_model.pack import seal
    >>> parcel = seal(pickle.dumps(b"x" * 100_000, 5))
    >>> span_of(parcel[:100], len(parcel))
    ByteSpan(kind=<class 'bytes'>, start=15, stop=100015)
    >>> span_of(seal(pickle.dumps([b"x" * 100_000], 5))[:100], 100_040) is None
    True
    """
    at = DIGEST_BYTES + 2
    if beginning[DIGEST_BYTES:at] not in _PROTOCOLS:
        return None
    kind, length = _LENGTHS.get(beginning[at : at + 1], (None, None))
    if kind is None or length is None or len(beginning) < at + 1 + length.size:
        return None
    (count,) = length.unpack_from(beginning, at + 1)
    start = at + 1 + length.size
    return ByteSpan(kind, start, start + count) if size - start - count in _ENDS else None


async def slice_of(blob: StoredBlob, start: int, stop: int) -> AsyncIterator[bytes]:
    """Yield bytes of a blob; the last of them only if all bytes of it have its digest.

    Raises:
        BlobMissing: When they have not, or the blob is gone: the reply is not whole.
    """
    digest, at, kept = sha256(), 0, b""
    async for piece in blob.pieces():
        digest.update(piece)
        found = piece[max(0, start - at) : max(0, stop - at)]
        at += len(piece)
        if found:
            if kept:
                yield kept
            kept = found
    if digest.hexdigest() != blob.digest:
        raise BlobMissing(digests=(blob.digest,))
    if kept:
        yield kept


async def text_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the text of a pickle as UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
    async for piece in pieces:
        yield utf8(decoder.decode(piece))
    yield utf8(decoder.decode(b"", final=True))


def utf8(text: str) -> bytes:
    r"""Return a text as UTF-8, and bytes in it that are not UTF-8 as they were.

    >>> utf8("\udcff"), utf8("\ud800")
    (b'\xff', b'?')
    """
    try:
        # What a command prints may hold bytes that are not UTF-8, as `os.fsdecode` keeps them.
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
