"""WebSockets: the end of a server, which carries the bytes of a TCP connection (RFC 6455)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedIOBase

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10
_FINAL: Final = 0x80
_MASKED: Final = 0x80
_LENGTH_16, _LENGTH_64 = 126, 127
_MOST_FRAME: Final = 1 << 24
"""The longest message of a browser, in bytes: what it copies into a clipboard."""
_READ_BYTES: Final = 1 << 16


def accept_key(key: str) -> str:
    """Return the value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key`.

    >>> accept_key("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def frame(data: bytes, opcode: int = _BINARY) -> bytes:
    """Return one message as a server sends it.

    >>> frame(b"abc").hex()
    '8203616263'
    """
    length = len(data)
    if length < _LENGTH_16:
        head = struct.pack("!BB", _FINAL | opcode, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", _FINAL | opcode, _LENGTH_16, length)
    else:
        head = struct.pack("!BBQ", _FINAL | opcode, _LENGTH_64, length)
    return head + data


def read_frame(source: BufferedIOBase) -> tuple[int, bytes]:
    """Read one frame of a browser; return its opcode, and its bytes without their mask.

    Raises:
        ValueError: When it is not one of a browser, is too long, or is cut off.
    """
    opcode, length = struct.unpack("!BB", _exactly(source, 2))
    if not length & _MASKED:
        raise ValueError("a frame of a browser is masked")
    length &= ~_MASKED
    if length == _LENGTH_16:
        (length,) = struct.unpack("!H", _exactly(source, 2))
    elif length == _LENGTH_64:
        (length,) = struct.unpack("!Q", _exactly(source, 8))
    if length > _MOST_FRAME:
        raise ValueError("the frame is too long")
    mask = _exactly(source, 4)
    data = _exactly(source, length)
    whole = int.from_bytes(data, "big")
    masks = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return opcode & 0xF, (whole ^ masks).to_bytes(length, "big")


def carry(source: BufferedIOBase, browser: socket.socket, target: socket.socket) -> None:
    """Carry bytes between a browser and a TCP connection, until one of them ends.

    Args:
        source: What the browser sends.
        browser: Where its frames are sent.
        target: The TCP connection, which is closed.
    """
    lock = threading.Lock()

    def send(data: bytes, opcode: int = _BINARY) -> None:
        with lock:
            browser.sendall(frame(data, opcode))

    back = threading.Thread(target=_carry_back, args=(target, browser, send), daemon=True)
    back.start()
    try:
        while True:
            opcode, data = read_frame(source)
            if opcode == _CLOSE:
                send(data, _CLOSE)
                return
            if opcode == _PING:
                send(data, _PONG)
            elif opcode != _PONG:
                target.sendall(data)
    except (OSError, ValueError):
        return
    finally:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        back.join()
        target.close()


def _carry_back(target: socket.socket, browser: socket.socket, send: Callable[..., object]) -> None:
    with contextlib.suppress(OSError):
        while data := target.recv(_READ_BYTES):
            send(data)
        send(b"", _CLOSE)
    with contextlib.suppress(OSError):
        browser.shutdown(socket.SHUT_RDWR)


def _exactly(source: BufferedIOBase, count: int) -> bytes:
    data = source.read(count)
    if len(data) != count:
        raise ValueError("the connection has ended")
    return data
