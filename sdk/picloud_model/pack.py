"""Packs and parcels: pickled bytes that the platform carries and never unpickles.

A parcel is one pickle behind an 8-byte digest of it. A pack is a sequence of parcels in one
immutable value, readable by position. The envelope says which Python made them; it is checked
before unpickling, which only the SDK and a slot's child do.
"""

from __future__ import annotations

import struct
import sys
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final

import msgspec

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST_BYTES: Final = 8
PACK_ITEMS: Final = 1002
"""Most parcels in a pack: a page of 1,000 jobs, which no pack crosses, an envelope, the infos."""
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The minor version of this Python, such as "3.11": pickles of others cannot be read."""
INLINE_BYTES: Final = 256 * 1024
"""Packs up to this size are kept in the state store; larger ones are blobs."""

UNSEALED: Final = b"unsealed"
"""In place of the digest of a parcel that is a blob: the digest of the blob checks it."""

_MAGIC: Final = b"pcp1"
_COUNT: Final = struct.Struct("<I")


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The Python that pickled: `python` as "3.11", `cloudpickle` as its version."""

    python: str
    cloudpickle: str

    @classmethod
    def here(cls, cloudpickle: str) -> Envelope:
        """Return the envelope of this process.

        >>> Envelope.here("3.1.0").cloudpickle
        '3.1.0'
        """
        return cls(PYTHON, cloudpickle)

    def refusal(self, here: Envelope) -> str | None:
        """Return why bytes in this envelope cannot be unpickled under `here`, or None.

        >>> Envelope("3.11", "3.1.0").refusal(Envelope("3.12", "3.1.0"))
        'pickled by Python 3.11, but this is Python 3.12: both sides need the same minor version'
        """
        if self.python == here.python:
            return None
        return (
            f"pickled by Python {self.python}, but this is Python {here.python}: "
            "both sides need the same minor version"
        )


class Pieces:
    """Bytes in several objects that follow each other, and are hashed and sent without a copy.

    >>> bytes(Pieces((b"ab", b"c"))), len(Pieces((b"ab", b"c")))
    (b'abc', 3)
    """

    __slots__ = ("_size", "parts")

    def __init__(self, parts: Sequence[bytes]) -> None:
        self.parts = tuple(parts)
        self._size = sum(map(len, self.parts))

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


def parts_of(data: bytes | Pieces) -> tuple[bytes, ...]:
    """Return the objects that hold some bytes."""
    return (data,) if isinstance(data, bytes) else data.parts


def sha256_of(data: bytes | Pieces) -> str:
    """Return the digest of bytes, which is the name of a blob.

    >>> sha256_of(Pieces((b"ab", b"c"))) == sha256_of(b"abc")
    True
    """
    made = sha256()
    for part in parts_of(data):
        made.update(part)
    return made.hexdigest()


def seal_pieces(pickled: Pieces, *, unsealed: bool = False) -> Pieces:
    """Return the parcel of a long pickle, whose bytes are not copied.

    Args:
        pickled: The pickle.
        unsealed: Whether the digest of its blob, which is computed anyway, takes the place of its
            own. Readers of before do not know that.

    >>> bytes(seal_pieces(Pieces((b"a", b"bc")))) == seal(b"abc")
    True
    """
    if unsealed:
        return Pieces((UNSEALED, *pickled.parts))
    made = blake2b(digest_size=DIGEST_BYTES)
    for part in pickled.parts:
        made.update(part)
    return Pieces((made.digest(), *pickled.parts))


def seal(pickled: bytes) -> bytes:
    """Return the parcel of a pickle: its digest, then the pickle.

    >>> unseal(seal(b"abc")) == b"abc"
    True
    """
    return blake2b(pickled, digest_size=DIGEST_BYTES).digest() + pickled


def unseal(parcel: bytes | memoryview, *, checked: bool = False) -> memoryview:
    """Check a parcel's digest and return the pickle behind it.

    Args:
        parcel: The parcel.
        checked: Whether it is a blob whose own digest was checked: hashing 4 MiB takes 4 ms.

    Raises:
        RequestRefused: When the bytes are not those that were sealed.
    """
    view = memoryview(parcel)
    digest, body = bytes(view[:DIGEST_BYTES]), view[DIGEST_BYTES:]
    if checked or digest == UNSEALED:
        return body
    if blake2b(body, digest_size=DIGEST_BYTES).digest() != digest:
        message = f"A payload of {len(body)} bytes is damaged: its digest is wrong."
        raise RequestRefused(message)
    return body


def write_long(parcel: Pieces) -> Pieces:
    """Return the pack of one long parcel, whose bytes are not copied.

    >>> bytes(write_long(Pieces((b"a", b"bc")))) == write([b"abc"])
    True
    """
    head = b"".join((_MAGIC, _COUNT.pack(1), _COUNT.pack(len(parcel))))
    return Pieces((head, *parcel.parts))


def write(parcels: Sequence[bytes]) -> bytes:
    """Bundle parcels into one pack.

    Returns:
        Magic, count, end offset of each parcel, then the parcels.

    >>> Pack(write([b"a", b"", b"ccc"]))[2]
    b'ccc'
    """
    ends, end = [], 0
    for parcel in parcels:
        end += len(parcel)
        ends.append(end)
    return b"".join(
        (_MAGIC, _COUNT.pack(len(ends)), struct.pack(f"<{len(ends)}I", *ends), *parcels)
    )


class Pack:
    """A pack opened for reading; nothing is copied until a parcel is read.

    >>> len(Pack(write([b"a", b"b"])))
    2
    """

    __slots__ = ("_body", "_ends")

    def __init__(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        head = len(_MAGIC) + _COUNT.size
        if bytes(view[: len(_MAGIC)]) != _MAGIC or len(view) < head:
            message = "This is not a pack: it begins with other bytes."
            raise RequestRefused(message, field="packs")
        (items,) = _COUNT.unpack(view[len(_MAGIC) : head])
        start = head + 4 * items
        if items > PACK_ITEMS or len(view) < start:
            message = f"A pack of {items} items is damaged or holds more than {PACK_ITEMS}."
            raise RequestRefused(message, field="packs")
        self._ends = struct.unpack(f"<{items}I", view[head:start])
        self._body = view[start:]
        if list(self._ends) != sorted(self._ends) or self._ends[-1:] not in (
            (),
            (len(self._body),),
        ):
            message = "A pack is damaged: its offsets do not fit its length."
            raise RequestRefused(message, field="packs")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, item: int) -> bytes:
        return bytes(self.view(item))

    def view(self, item: int) -> memoryview:
        """Return a parcel without copying it."""
        start = self._ends[item - 1] if item else 0
        return self._body[start : self._ends[item]]
