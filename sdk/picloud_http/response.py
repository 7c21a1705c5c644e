"""HTTP/1.1 responses, read from a connection that stays open.

This does a tenth of what http.client does, in a fifth of its time: http.client parses headers like
those of a mail, which takes longer than all else that a supervisor does for a warm job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import MAX_RESULT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

LARGEST: Final = MAX_RESULT_BYTES + 1024 * 1024
"""The longest body that the API sends: the largest blob, and room for the rest."""
_LINE: Final = 64 * 1024
_HEADERS: Final = 200
_CHUNK: Final = 1024 * 1024
_CONTINUE: Final = 100
_WITHOUT_BODY: Final = (204, 304)


class BrokenResponseError(OSError):
    """The peer sent something other than an HTTP response, or closed the connection within one."""


class TooLongError(BrokenResponseError):
    """The body is longer than is accepted."""


class Response:
    r"""A response whose head was read; its body has to be read before the next request.

    `closing` means that the connection cannot be used again. A body of more than `largest` bytes is
    an error as soon as its length is known.

    >>> from io import BytesIO
    >>> response = Response(BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
    >>> response.status, response.headers, response.read()
    (200, {'content-length': '2'}, b'hi')
    """

    def __init__(
        self, stream: BufferedReader, largest: int = LARGEST, *, bodiless: bool = False
    ) -> None:
        self._stream = stream
        self._room = largest
        self._is_begun = False
        self._rest: Iterator[bytes] | None = None
        self._piece = memoryview(b"")
        self.is_read = False
        """Whether the whole body was read."""
        status = _CONTINUE
        while status == _CONTINUE:
            status = _status(_line(stream))
            self.headers = dict(_headers(stream))
        self.status = status
        length = self.headers.get("content-length", "")
        self._remaining = int(length) if length.isascii() and length.isdigit() else None
        self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if bodiless or status in _WITHOUT_BODY:
            self._remaining, self._chunked = 0, False
        is_endless = self._remaining is None and not self._chunked
        self.closing = is_endless or self.headers.get("connection", "").lower() == "close"

    def read(self) -> bytes:
        """Return the whole body.

        Raises:
            OSError: When it does not arrive completely, or is too long.
        """
        if self._remaining is not None and not self._chunked:
            self._use_room(self._remaining)
            data = self._stream.read(self._remaining)
            if len(data) < self._remaining:
                raise BrokenResponseError("the peer closed the connection within a response")
            self.is_read = True
            return data
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            OSError: As in `read`.
        """
        if self._chunked:
            while size := int(_line(self._stream).partition(b";")[0], 16):
                self._use_room(size)
                yield from self._exactly(size)
                _line(self._stream)
            dict(_headers(self._stream))
        elif self._remaining is not None:
            self._use_room(self._remaining)
            yield from self._exactly(self._remaining)
        else:
            while piece := self._stream.read(_CHUNK):
                self._use_room(len(piece))
                yield piece
        self.is_read = True

    def read_into(self, buffer: memoryview) -> int:
        r"""Read the next bytes into a buffer; return how many, 0 at the end of the body.

        Raises:
            OSError: As in `read`.

        >>> from io import BufferedReader, BytesIO
        >>> stream = BufferedReader(BytesIO(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
        >>> response, buffer = Response(stream), bytearray(2)
        >>> response.read_into(memoryview(buffer)), bytes(buffer)
        (2, b'ab')
        """
        if self._remaining is None or self._chunked:
            if self._rest is None:
                self._rest = self.pieces()
            if not self._piece:
                self._piece = memoryview(next(self._rest, b""))
            count = min(len(buffer), len(self._piece))
            buffer[:count], self._piece = self._piece[:count], self._piece[count:]
            return count
        self._use_room(0 if self._is_begun else self._remaining)
        self._is_begun = True
        count = 0
        if self._remaining:
            count = self._stream.readinto(buffer[: self._remaining])
            if not count:
                raise BrokenResponseError("the peer closed the connection within a response")
            self._remaining -= count
        self.is_read = not self._remaining
        return count

    def _use_room(self, size: int) -> None:
        self._room -= size
        if size < 0 or self._room < 0:
            raise TooLongError("the body is longer than any of the API")

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
