"""Replies with an object: ranges, ETags and conditional requests, as RFC 9110 describes them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import falcon

if TYPE_CHECKING:
    from falcon.asgi import Request, Response
    from picloud_driver.bucket import ObjectInfo, OpenObject

Opener: TypeAlias = Callable[[int, "int | None", str], Awaitable["OpenObject"]]
"""Opens bytes `start .. end-1` of the version of an object that has an ETag."""

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BINARY: Final = "application/octet-stream"


async def reply_with_object(
    request: Request, response: Response, info: ObjectInfo, read: Opener
) -> None:
    """Reply with the bytes of an object, or with the range of them that was requested.

    Args:
        request: The request: a GET or a HEAD.
        response: Its reply.
        info: What is known of the object.
        read: Opens its bytes.

    Raises:
        ObjectChanged: When the object was replaced since `info` was read.
    """
    response.set_header("ETag", f'"{info.etag}"')
    response.set_header("Last-Modified", formatdate(info.modified, usegmt=True))
    response.set_header("Accept-Ranges", "bytes")
    for name, value in info.properties.headers.items():
        response.set_header(name, value)
    response.content_type = info.properties.headers.get("content-type", _BINARY)
    if (status := _unmet(request, info)) is not None:
        response.status = status
        return
    start, end = 0, info.size
    span = _span(request, info)
    if span is not None:
        start, end = span
        if start >= info.size:
            response.status = falcon.HTTP_416
            response.set_header("Content-Range", f"bytes */{info.size}")
            return
        response.status = falcon.HTTP_206
        response.set_header("Content-Range", f"bytes {start}-{end - 1}/{info.size}")
    if request.method == "HEAD":
        response.content_length = end - start
        return
    opened = await read(start, end, info.etag)
    response.set_stream(_chunks(opened), end - start)


async def _chunks(opened: OpenObject) -> AsyncIterator[bytes]:
    try:
        async for chunk in opened.chunks:
            yield chunk
    finally:
        await opened.chunks.aclose()


def _unmet(request: Request, info: ObjectInfo) -> str | None:
    """Return the status of a request whose condition does not hold; None if it does."""
    required = request.get_header("If-Match")
    if required is not None and not _names(required, info.etag):
        return falcon.HTTP_412
    held = request.get_header("If-None-Match")
    if held is not None:
        return falcon.HTTP_304 if _names(held, info.etag) else None
    since = _seconds(request.get_header("If-Modified-Since"))
    if since is not None and int(info.modified) <= since:
        return falcon.HTTP_304
    return None


def _names(header: str, etag: str) -> bool:
    """Whether a list of ETags has this one.

    >>> _names('"a", W/"b"', "b"), _names("*", "b"), _names('"a"', "b")
    (True, True, False)
    """
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or etag in tags


def _span(request: Request, info: ObjectInfo) -> tuple[int, int] | None:
    """Return the range of bytes that a request is for, as its first byte and the one after it.

    Several ranges, and what cannot be read, are ignored: the whole object is a valid reply.
    """
    condition = request.get_header("If-Range")
    if condition is not None:
        date = _seconds(condition)
        if condition.strip('"') != info.etag and date != int(info.modified):
            return None
    matched = _RANGE.fullmatch(request.get_header("Range") or "")
    if matched is None:
        return None
    first, last = matched.groups()
    if first:
        if last and int(last) < int(first):
            return None
        return int(first), min(info.size, int(last) + 1) if last else info.size
    if not last:
        return None
    # The last bytes: none at all cannot be satisfied.
    return (max(0, info.size - int(last)), info.size) if int(last) else (info.size, info.size)


def _seconds(date: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp()) if date else None
    except (ValueError, OverflowError):
        return None
