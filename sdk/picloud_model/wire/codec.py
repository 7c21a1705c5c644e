"""Encode and decode bodies, as msgpack or as JSON."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

Body = TypeVar("Body")

MSGPACK: Final = "application/msgpack"
JSON: Final = "application/json"


def encode(body: Any, media: str = MSGPACK) -> bytes:
    """Write a body.

    >>> encode({"count": 2}, JSON)
    b'{"count":2}'
    """
    return msgspec.json.encode(body) if media == JSON else msgspec.msgpack.encode(body)


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
        # msgspec raises this one as it is, although it is no MsgspecError.
        raise msgspec.DecodeError(f"a text is not UTF-8: {error}") from error
    except RecursionError as error:
        # msgspec stops at the interpreter's limit, far above the few levels of our bodies.
        raise msgspec.DecodeError("it is nested too deeply") from error
