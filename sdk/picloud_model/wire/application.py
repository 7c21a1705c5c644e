"""Published applications: their requests and responses, as arguments and results of jobs."""

from __future__ import annotations

import re
import struct
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from picloud_model.errors import RequestRefused

MAX_HEAD_BYTES: Final = 64 * 1024
"""Longest head of a response: its status and headers."""
APPLICATION: Final = "app"
"""The encoding of results that are responses of an application."""

_LENGTH: Final = struct.Struct(">I")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")


class AppRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to an application, whose fields are the arguments of a job.

    `root` is the path of the endpoint, and `path` what follows it, both as they were sent. Each of
    the `headers` is a name in lower case and a value.
    """

    method: str = "GET"
    scheme: str = "http"
    root: str = ""
    path: str = "/"
    query: str = ""
    headers: list[list[str]] = []
    body: bytes = b""

    def arguments(self) -> dict[str, Any]:
        """Return the fields by name."""
        return msgspec.structs.asdict(self)


class AppResponseHead(msgspec.Struct, frozen=True):
    """The status and the headers of a response; its body follows."""

    status: Annotated[int, Meta(ge=200, le=599)]
    headers: list[tuple[str, str]]


def sealed_response(head: AppResponseHead, body: bytes) -> bytes:
    """Return a response as the result of a job: the length of its head, the head and the body.

    >>> data = sealed_response(AppResponseHead(200, [("a", "b")]), b"body")
    >>> head, start = response_head(data)
    >>> head.headers, data[start:]
    ([('a', 'b')], b'body')
    """
    encoded = msgspec.json.encode(head)
    return b"".join((_LENGTH.pack(len(encoded)), encoded, body))


def response_head(data: bytes) -> tuple[AppResponseHead, int]:
    """Return the head of a response, and where its body begins.

    Args:
        data: The beginning of the result of a job, at least `MAX_HEAD_BYTES` and four bytes of it
            if it is as long.

    Raises:
        RequestRefused: When it is not a response, or has a header that HTTP cannot carry.
    """
    start = _LENGTH.size
    try:
        (length,) = _LENGTH.unpack_from(data)
        stop = start + length
        if length > MAX_HEAD_BYTES or stop > len(data):
            raise RequestRefused(f"has headers of more than {MAX_HEAD_BYTES // 1024} KiB")
        head = msgspec.json.decode(data[start:stop], type=AppResponseHead)
    except (struct.error, msgspec.DecodeError):
        raise RequestRefused("is not the response of an application") from None
    for name, value in head.headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise RequestRefused(f"has a header that HTTP cannot carry, {name!r:.80}")
    return head, stop
