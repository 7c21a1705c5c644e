"""What a supervisor and the process that mounts its bucket tell each other, through a socket.

The supervisor sends the request, with a descriptor of the directory for copies. The process sends
one line: where the bucket is mounted, or why it is not. Then each waits for the other's end.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire
from picloud_model.wire import BucketMounted

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BYTES: Final = 16_384
REQUEST_BYTES: Final = 1024 * 1024
"""How many bytes the kernel reads or writes in one request at most."""


class MountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask to mount the bucket of an account.

    Args:
        url: Where the API listens.
        token: The token of the slot.
        at: An empty directory, or `MOUNT_POINT`.
        uid: The user whose files they are, and who alone has access to them.
        gid: That user's group.
    """

    url: str
    token: str
    at: str
    uid: int
    gid: int


MOUNT_POINT: Final = "/bucket"
"""Where containers have the bucket, and slots that may mount in a namespace of their own."""
_NO_REQUEST: Final = "the supervisor sent no request"


def send(connection: socket.socket, request: MountRequest, copies: int) -> None:
    """Send a request, with a descriptor of the directory for copies of files that are written."""
    socket.send_fds(connection, [msgspec.json.encode(request)], [copies])


def receive(connection: socket.socket) -> tuple[MountRequest, int]:
    """Wait for the request; return it, and the descriptor of the directory for copies.

    Raises:
        OSError: When the supervisor has ended.
    """
    data, descriptors, _, _ = socket.recv_fds(connection, MOST_BYTES, 1)
    try:
        (copies,) = descriptors
    except ValueError as error:
        raise ConnectionResetError(_NO_REQUEST) from error
    return _decoded(data), copies


def peek(connection: socket.socket) -> MountRequest:
    """Return the request, which another process will receive.

    Raises:
        OSError: When none has arrived, or the supervisor has ended.
    """
    return _decoded(connection.recv(MOST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT))


def _decoded(data: bytes) -> MountRequest:
    try:
        return msgspec.json.decode(data, type=MountRequest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ConnectionResetError(_NO_REQUEST) from error


def encoded(answer: BucketMounted) -> bytes:
    """Return the line that answers a request."""
    return wire.encode(answer, wire.JSON) + b"\n"


def answers(data: bytes) -> Sequence[BucketMounted]:
    """Return the answer in what was received, if it is complete."""
    lines = data.split(b"\n")[:-1]
    return [wire.decode(line, BucketMounted, wire.JSON) for line in lines]
