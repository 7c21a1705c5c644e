"""Calls of published functions: their arguments, as requests hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.wire.rest import MAX_CALL_BYTES, MAX_CALLS

from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_REQUEST_BYTES: Final = MAX_CALL_BYTES // 2
"""Where the calls of a map are divided: a server stores them in a few more bytes."""


def mapped_calls(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each call of a map.

    Args:
        columns: For each argument its values, one for each call.

    Raises:
        CloudException: When there are none, or one argument has more values than another.
        CloudTypeError: When the values of an argument are not iterable.

    >>> mapped_calls({"x": [1, 2], "y": "ab"})
    [{'x': 1, 'y': 'a'}, {'x': 2, 'y': 'b'}]
    """
    if not columns:
        raise CloudValueError("invoke_map needs arguments to map; use invoke for a single call.")
    for name, values in columns.items():
        if not hasattr(values, "__iter__"):
            raise CloudTypeError(
                f"The values of {name!r} must be an iterable, one for each call, not "
                f"{values!r:.80}."
            )
    try:
        rows = list(zip(*columns.values(), strict=True))
    except ValueError:
        raise CloudValueError("Every argument must have as many values as the others.") from None
    return [dict(zip(columns, row, strict=True)) for row in rows]


def requests_of(calls: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide calls into those that one request can hold.

    Raises:
        CloudTypeError: When an argument is not a plain value.

    >>> [len(each) for each in requests_of([{"x": 1}] * 1500)]
    [1000, 500]
    """
    portion, size = list[dict[str, Any]](), 0
    for call in calls:
        length = len(_encoded(call))
        if portion and (len(portion) == MAX_CALLS or size + length > _REQUEST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(call)
        size += length
    if portion:
        yield portion


def _encoded(call: dict[str, Any]) -> bytes:
    try:
        return msgspec.msgpack.encode(call)
    except (TypeError, OverflowError, NotImplementedError, UnicodeEncodeError) as error:
        raise CloudTypeError(
            "Arguments of a published function are None, numbers, text, bytes, and lists and dicts "
            "of these; use cloud.call for other objects."
        ) from error
