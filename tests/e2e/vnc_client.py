"""A client of VNC, as far as it logs in by a password and reads what the screen is (RFC 6143)."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

WAIT_S = 60.0
VERSION = b"RFB 003.008\n"
VNC_AUTH = 2


class Shown(NamedTuple):
    """The screen of a server."""

    width: int
    height: int
    depth: int
    name: str


def log_in(port: int, password: str) -> Shown | None:
    """Log in at a port of this machine; return None if the password is refused."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as server:
        source = server.makefile("rb")
        assert source.read(12) == VERSION
        server.sendall(VERSION)
        assert source.read(source.read(1)[0]) == bytes([VNC_AUTH])
        server.sendall(bytes([VNC_AUTH]))
        server.sendall(response(source.read(16), password))
        (result,) = struct.unpack("!I", source.read(4))
        if result:
            return None
        server.sendall(b"\x01")
        width, height, pixel, length = struct.unpack("!HH16sI", source.read(24))
        return Shown(width, height, pixel[1], source.read(length).decode())


def response(challenge: bytes, password: str) -> bytes:
    """Return the challenge, encrypted by DES with the password, the bits of each byte reversed."""
    key = password.encode()[:8].ljust(8, b"\0")
    key = bytes(int(f"{each:08b}"[::-1], 2) for each in key)
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # three times one key is DES
    return encryptor.update(challenge) + encryptor.finalize()
