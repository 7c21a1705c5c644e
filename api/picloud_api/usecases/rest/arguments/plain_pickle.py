"""Plain pickles: writes values that JSON can hold as a pickle, which the job of a call reads.

The server imports nothing that could unpickle. The opcodes here only make None, numbers, text,
bytes, lists and dicts: those that `picloud_model.plain_value` reads.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from picloud_model.errors import ArgumentRefused
from picloud_model.plain_value import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROTOCOL: Final = b"\x80\x05"
_CONSTANTS: Final = {None: b"N", True: b"\x88", False: b"\x89"}
_SMALL: Final = range(-(2**31), 2**31)
_INT: Final = struct.Struct("<ci")
_LONG: Final = struct.Struct("<cI")
_FLOAT: Final = struct.Struct(">cd")


def call_pickle(arguments: Mapping[str, Any]) -> bytes:
    """Return the pickle of the arguments of a job that takes them by name.

    Raises:
        ArgumentRefused: When one is not a plain value, or nested too deep.

    >>> import pickle
    >>> pickle.loads(call_pickle({"x": [1, 2.5, None], "y": {"a": b"b"}}))
    ((), {'x': [1, 2.5, None], 'y': {'a': b'b'}})
    """
    parts = [_PROTOCOL, b")"]
    _write(dict(arguments), parts, MAX_DEPTH)
    parts.append(b"\x86.")
    return b"".join(parts)


def _write(value: Any, parts: list[bytes], depth: int) -> None:
    """Add the opcodes that make a value."""
    kind = type(value)
    if value is None or kind is bool:
        parts.append(_CONSTANTS[value])
    elif kind is int:
        parts.append(_integer(value))
    elif kind is float:
        parts.append(_FLOAT.pack(b"G", value))
    elif kind is str:
        data = value.encode("utf-8", "surrogatepass")
        parts += (_LONG.pack(b"X", len(data)), data)
    elif kind is bytes:
        parts += (_LONG.pack(b"B", len(value)), value)
    elif kind is list or kind is dict:
        if not depth:
            raise ArgumentRefused(f"The arguments are nested more than {MAX_DEPTH} deep.")
        _write_items(value, parts, depth - 1)
    else:
        raise ArgumentRefused(
            "The arguments must be null, numbers, text, bytes, and lists and objects of these, "
            f"but one has a {kind.__name__}."
        )


def _write_items(value: Any, parts: list[bytes], depth: int) -> None:
    if type(value) is list:
        parts.append(b"](")
        for each in value:
            _write(each, parts, depth)
        parts.append(b"e")
        return
    parts.append(b"}(")
    for key, each in value.items():
        if type(key) not in {str, int, float}:
            raise ArgumentRefused("The names in an object among the arguments must be text.")
        _write(key, parts, depth)
        _write(each, parts, depth)
    parts.append(b"u")


def _integer(value: int) -> bytes:
    if value in _SMALL:
        return _INT.pack(b"J", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return _LONG.pack(b"\x8b", len(data)) + data
