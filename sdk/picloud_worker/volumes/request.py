"""What a supervisor in a container and the machine tell each other about volumes, line by line."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import VolumesMounted

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET: Final = "volumes"
"""The name of the socket in the directory through which a container asks for mounts."""
MOST_BYTES: Final = 1024 * 1024


class VolumesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Mount directories of a job, all or none, or unmount what was mounted.

    Args:
        uid: The user of the job, whose the directories are.
        mount: The directories by mount path.
        unmount: Mount paths.
    """

    uid: int
    mount: dict[str, str] = {}
    unmount: list[str] = []


def encoded(message: msgspec.Struct) -> bytes:
    """Return a request or an answer as a line."""
    return msgspec.json.encode(message) + b"\n"


def answer(supervisor: socket.socket, handle: Callable[[VolumesRequest], None]) -> bytes:
    """Receive a request that has arrived, handle it, and return the answer.

    Raises:
        OSError: When the supervisor has ended, or sends anything else.
    """
    data = supervisor.recv(MOST_BYTES, socket.MSG_DONTWAIT)
    try:
        request = msgspec.json.decode(data, type=VolumesRequest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ConnectionResetError("the supervisor sent no request") from error
    try:
        handle(request)
    except OSError as error:
        return encoded(VolumesMounted(reason=str(error)))
    return encoded(VolumesMounted(ready=True))
