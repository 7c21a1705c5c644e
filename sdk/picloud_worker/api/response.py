"""HTTP/1.1 responses, read from a connection that stays open.

This does a tenth of what http.client does, in a fifth of its time: http.client parses headers like
those of a mail, which takes longer than all else that a supervisor does for a warm job.
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
    """The peer sent something other than an HTTP response, or closed the connection within one."""


class Response:
    r"""A response whose head was read; its body has to be read before the next request.

    `closing` means that the connection cannot be used again.

    >>> from io import BytesIO
    >>> response = Response(BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    >>> response.status, response.headers, response.read()
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
        self._remaining = int(length) if length.isascii() and length.isdigit() else None
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if status in _WITHOUT_BODY:
            self._remaining, self._chunked = 0, False
        is_endless = self._remaining is None and not self._chunked
        self.closing = is_endless or self.headers.get("connection", "").lower() == "close"

    def read(self) -> bytes:
        """Return the whole body.

        Raises:
            OSError: When it does not arrive completely.
        """
        if self._remaining is not None and not self._chunked:
            data = self._stream.read(self._remaining)
            if len(data) < self._remaining:
                raise BrokenResponseError("the peer closed the connection within a response")
            return data
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            OSError: As in `read`.
        """
        if self._chunked:
            while size := int(_line(self._stream).partition(b";")[0], 16):
                yield from self._exactly(size)
                _line(self._stream)
            dict(_headers(self._stream))
        elif self._remaining is not None:
            yield from self._exactly(self._remaining)
        else:
            while piece := self._stream.read(_CHUNK):
                yield piece

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self._stream.read(min(size, _CHUNK))
            if not piece:
                raise BrokenResponseError("the peer closed the connection within a response")
            size -= len(piece)
            yield piece


def _line(stream: BufferedReader) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\n"):
        is_cut = len(line) < _LINE
        raise BrokenResponseError("the peer closed the connection" if is_cut else "a long line")
    return line.rstrip(b"\r\n")


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        raise BrokenResponseError(f"not an HTTP response: {line[:50]!r}")
    return int(code)


def _headers(stream: BufferedReader) -> Iterator[tuple[str, str]]:
    for _ in range(_HEADERS):
        line = _line(stream)
        if not line:
            return
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip().lower(), value.strip()
    raise BrokenResponseError("too many headers")
