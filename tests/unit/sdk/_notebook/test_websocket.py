"""WebSockets: frames of browsers, and the bytes of a TCP connection in them."""

from __future__ import annotations

import io
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from cloud._notebook import websocket

if TYPE_CHECKING:
    from collections.abc import Iterator


def masked(data: bytes, opcode: int = 2) -> bytes:
    """A frame as a browser sends it."""
    mask = b"\x01\x80\xff\x07"
    sent = bytearray(websocket.frame(data, opcode))
    sent[1] |= 0x80
    start = len(sent) - len(data)
    return bytes(sent[:start]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


@pytest.mark.parametrize("length", [0, 1, 5, 125, 126, 65_535, 65_536, 100_001])
def test_a_frame_of_a_browser_is_read(length: int) -> None:
    """Of each of the three forms of its length."""
    data = os.urandom(length)

    assert websocket.read_frame(io.BytesIO(masked(data))) == (2, data)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x82",
        websocket.frame(b"not masked"),
        masked(b"cut off")[:-1],
        b"\x82\xff" + b"\x7f" + b"\xff" * 7,
    ],
)
def test_what_is_not_a_frame_is_refused(sent: bytes) -> None:
    """Also one that is too long to be kept in memory."""
    with pytest.raises(ValueError, match=r"masked|too long|has ended"):
        websocket.read_frame(io.BytesIO(sent))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A browser, and the server to which its bytes are carried."""
    browser, ours = socket.socketpair()
    target, server = socket.socketpair()

    def run() -> None:
        with ours, ours.makefile("rb") as source:
            websocket.carry(source, ours, target)

    thread = threading.Thread(target=run)
    thread.start()
    for each in (browser, server):
        each.settimeout(10)
    yield browser, server
    for each in (browser, server):
        each.close()
    thread.join(10)
    assert not thread.is_alive()


def test_bytes_are_carried_in_both_directions(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Each of a server's is in a frame; a ping is answered, and the rest is not one of bytes."""
    browser, server = ends

    browser.sendall(masked(b"to the ") + masked(b"", 9) + masked(b"", 10) + masked(b"server"))
    assert _read(server, 13) == b"to the server"
    assert _read(browser, 2) == websocket.frame(b"", 10)
    server.sendall(b"back")
    assert _read(browser, 6) == websocket.frame(b"back")


def test_the_end_of_a_server_ends_the_browser(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """It is sent that no more follows."""
    browser, server = ends

    server.close()

    assert _read(browser, 2) == websocket.frame(b"", 8)
    assert browser.recv(1) == b""


def test_the_end_of_a_browser_ends_the_server(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    """Whether it says so or breaks off."""
    browser, server = ends

    browser.sendall(masked(b"", 8))

    assert server.recv(1) == b""


def _read(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += end.recv(count - len(data))
    return data
