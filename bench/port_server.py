"""What jobs of `bench.ports` run: a server on a port of its own, for several clients at once.

A client sends one letter and a count of bytes: it gets so many bytes (`g`), sends so many (`s`) and
gets one back, or gets back each byte that it sends (`e`). Of one that sends `h` nothing more is
read.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Final

REQUEST: Final = struct.Struct("!cQ")
PIECE_BYTES: Final = 1024 * 1024


def serve() -> None:
    """Serve clients until the job is killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(client,), daemon=True).start()


def _serve(client: socket.socket) -> None:
    with client:
        what, count = REQUEST.unpack(client.recv(REQUEST.size, socket.MSG_WAITALL))
        if what == b"g":
            send(client, count)
        elif what == b"s":
            receive(client, count)
            client.sendall(b"k")
        elif what == b"e":
            while data := client.recv(65536):
                client.sendall(data)
        else:
            threading.Event().wait()


def send(connected: socket.socket, count: int) -> None:
    """Send a number of bytes."""
    piece = memoryview(bytes(PIECE_BYTES))
    while count:
        connected.sendall(piece[:count])
        count -= min(count, PIECE_BYTES)


def receive(connected: socket.socket, count: int) -> None:
    """Receive a number of bytes.

    Raises:
        ConnectionError: When the other side ends before.
    """
    piece = memoryview(bytearray(PIECE_BYTES))
    while count:
        received = connected.recv_into(piece[:count])
        if not received:
            message = f"{count} bytes are missing"
            raise ConnectionError(message)
        count -= received
