"""Replies: HTTP/1.1 responses read off a connection that stays open.

A tenth of what http.client does, and a fifth of its time: it parses headers as if they were mail,
which takes longer than all else that a supervisor does for a warm job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

_LINE: Final = 64 * 1024
_HEADERS: Final = 200
_CHUNK: Final = 1024 * 1024
_CONTINUE: Final = 100
_WITHOUT_BODY: Final = (204, 304)


class BrokenResponseError(OSError):
    """The peer sent something that is no HTTP response, or hung up within one."""


class Response:
    r"""A response whose head was read; its body has to be read before the next request.

    `closing` says that the connection cannot be used again.

    >>> from io import BytesIO
    >>> reply = Response(BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    >>> reply.status, reply.headers, reply.read()
    (200, {'content-length': '2'}, b'hi')
    """

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        status = _CONTINUE
        while status == _CONTINUE:
            status = _status(_line(stream))
            self.headers = dict(_headers(stream))
        self.status = status
        length = self.headers.get("content-length", "")
        self._left = int(length) if length.isascii() and length.isdigit() else None
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if status in _WITHOUT_BODY:
            self._left, self._chunked = 0, False
        endless = self._left is None and not self._chunked
        self.closing = endless or self.headers.get("connection", "").lower() == "close"

    def read(self) -> bytes:
        """The whole body.

        Raises:
            OSError: When it does not arrive in full.
        """
        if self._left is not None and not self._chunked:
            data = self._stream.read(self._left)
            if len(data) < self._left:
                raise BrokenResponseError("the peer hung up within a response")
            return data
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives.

        Raises:
            OSError: As `read`.
        """
        if self._chunked:
            while size := int(_line(self._stream).partition(b";")[0], 16):
                yield from self._exactly(size)
                _line(self._stream)
            dict(_headers(self._stream))
        elif self._left is not None:
            yield from self._exactly(self._left)
        else:
            while piece := self._stream.read(_CHUNK):
                yield piece

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._stream.read(min(size, _CHUNK))
            if not piece:
                raise BrokenResponseError("the peer hung up within a response")
            size -= len(piece)
            yield piece


def _line(stream: BufferedReader) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\n"):
        raise BrokenResponseError("the peer hung up" if len(line) < _LINE else "a line has no end")
    return line.rstrip(b"\r\n")


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        raise BrokenResponseError(f"no HTTP response: {line[:50]!r}")
    return int(code)


def _headers(stream: BufferedReader) -> Iterator[tuple[str, str]]:
    for _ in range(_HEADERS):
        line = _line(stream)
        if not line:
            return
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip().lower(), value.strip()
    raise BrokenResponseError("too many headers")
