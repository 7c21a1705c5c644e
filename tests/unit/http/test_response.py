"""HTTP/1.1 responses, in every framing that a server may choose."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from picloud_http.response import BrokenResponseError, Response


def response(text: bytes) -> Response:
    """Read the head of a response."""
    stream: Any = BytesIO(text)
    return Response(stream)


def test_a_length_bounds_the_body() -> None:
    """Bytes after it belong to the next response."""
    stream: Any = BytesIO(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 404 No\r\n\r\n")

    assert Response(stream).read() == b"hi"
    assert Response(stream).status == 404


def test_chunks_are_joined() -> None:
    """Chunk extensions and trailers are ignored."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    text = head + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nt: 1\r\n\r\n"

    answer = response(text)

    assert answer.read() == b"abcde"
    assert not answer.closing


def test_without_length_the_end_of_the_connection_counts() -> None:
    """Such a connection cannot be used again."""
    answer = response(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    assert answer.closing
    assert answer.read() == b"all of it"


def test_an_interim_response_is_skipped() -> None:
    """After 100 Continue follows the final response."""
    text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\nconnection: close\r\n\r\n"

    answer = response(text)

    assert (answer.status, answer.read(), answer.closing) == (204, b"", True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300,
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_anything_else_is_an_error(text: bytes) -> None:
    """Anything but a complete response raises an error."""
    with pytest.raises(
        OSError, match=r"closed the connection|not an HTTP response|a long line|too many"
    ):
        response(text).read()


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 99999999999999\r\n\r\n",
        b"content-length: 11\r\n\r\nhello world",
        b"transfer-encoding: chunked\r\n\r\n8\r\nhello wo\r\n8\r\nhello wo\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n-5\r\nhello",
        b"\r\nhello world",
    ],
)
def test_a_body_that_is_too_long_is_not_read(framing: bytes) -> None:
    """However it is framed: no server can fill the memory of a slot."""
    stream: Any = BytesIO(b"HTTP/1.1 200 OK\r\n" + framing)

    with pytest.raises(BrokenResponseError, match="longer than any"):
        Response(stream, largest=10).read()
    assert stream.tell() < 80
