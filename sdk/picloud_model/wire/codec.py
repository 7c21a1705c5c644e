"""Encode and decode bodies, as msgpack or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Body = TypeVar("Body")

MSGPACK: Final = "application/msgpack"
JSON: Final = "application/json"


def encode(body: Any, media: str = MSGPACK) -> bytes:
    """Write a body; a number of a derived class, such as a job, is written as the number.

    >>> encode({"count": 2}, JSON)
    b'{"count":2}'
    """
    write = msgspec.json.encode if media == JSON else msgspec.msgpack.encode
    return write(body, enc_hook=_number)


def _number(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    raise NotImplementedError(f"Bodies hold no {type(value).__name__}.")


def join_lists(lists: Sequence[bytes], media: str = MSGPACK) -> bytes:
    """Return encoded lists as one: a long list may be encoded in portions.

    >>> decode(join_lists([encode([1, 2]), encode([]), encode(["c"])]), list)
    [1, 2, 'c']
    >>> join_lists([b"[1,2]", b"[]", b"[3]"], JSON)
    b'[1,2,3]'
    """
    if media == JSON:
        return b"[" + b",".join(part[1:-1] for part in lists if len(part) > len(b"[]")) + b"]"
    count, items = 0, list[bytes]()
    for part in lists:
        length, header = _msgpack_list(part)
        count += length
        items.append(part[header:])
    return b"\xdd" + count.to_bytes(4, "big") + b"".join(items)


def _msgpack_list(data: bytes) -> tuple[int, int]:
    """Return the length of a list in msgpack, and the size of what is before its first item."""
    if data[0] in (0xDC, 0xDD):
        size = 2 if data[0] == 0xDC else 4  # noqa: PLR2004 - `array 16` in the format
        return int.from_bytes(data[1 : 1 + size], "big"), 1 + size
    return data[0] & 0x0F, 1


def decode(data: bytes | memoryview, kind: type[Body], media: str = MSGPACK) -> Body:
    """Read a body of one kind.

    Raises:
        msgspec.ValidationError: When a field is missing, unknown or of another type.
        msgspec.DecodeError: When the bytes are not msgpack (or JSON), or are nested too deeply.

    >>> decode(encode([1, 2]), list)
    [1, 2]
    """
    try:
        if media == JSON:
            return msgspec.json.decode(data, type=kind)
        return msgspec.msgpack.decode(data, type=kind)
    except UnicodeDecodeError as error:
        # msgspec raises this one as it is, although it is not a MsgspecError.
        raise msgspec.DecodeError(f"a text is not UTF-8: {error}") from error
    except RecursionError as error:
        # msgspec stops at the interpreter's limit, far above the few levels of our bodies.
        raise msgspec.DecodeError("it is nested too deeply") from error
