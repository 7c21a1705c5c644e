"""How a supervisor in a container is reached by the machine: sockets in a directory of both."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from picloud_worker.ipc.peer import peer_of

MARK: Final = "mounts"
"""The name of a file there that says that a process of the machine mounts file systems."""
_ROOT: Final = 0


def is_served(directory: int) -> bool:
    """Whether a process of the machine answers requests through a directory."""
    return Path(f"/proc/self/fd/{directory}/{MARK}").exists()


def listen(directory: int, name: str) -> socket.socket:
    """Return a socket that does not block, to which the machine connects as soon as it has a name.

    Raises:
        OSError: When there cannot be one.
    """
    path = Path(f"/proc/self/fd/{directory}/.{name}")
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.settimeout(0)
        listening.bind(str(path))
        listening.listen(1)
        path.rename(path.with_name(name))
    except BaseException:
        listening.close()
        raise
    return listening


def accept(listening: socket.socket) -> socket.socket | None:
    """Return the connection of the machine; None if it was another process.

    Raises:
        BlockingIOError: When none has connected.
    """
    connection, _ = listening.accept()
    peer = peer_of(connection)
    # Root, inside or outside of this container.
    if peer is not None and peer.uid == _ROOT:
        return connection
    connection.close()
    return None
