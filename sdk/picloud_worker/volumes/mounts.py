"""The volumes of the jobs of a container at their mount paths, as its supervisor sees them."""

from __future__ import annotations

import contextlib
import select
import time
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import VolumesMounted

from picloud_worker.ipc import machine_socket
from picloud_worker.volumes.request import MOST_BYTES, SOCKET, VolumesRequest, encoded

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ANSWER_S: Final = 2.0
"""How long the machine may take, which needs about 20 ms; meanwhile the supervisor waits."""
_NOWHERE: Final = "no process of the machine mounts volumes for this slot"


class VolumeMounts:
    """Asks the machine to mount directories of jobs, and to unmount them when their jobs end.

    Args:
        container: A descriptor of a directory that the machine sees, too; None outside of
            containers.
        home: Holds the directories of the children.
        uid: The user of the jobs.
    """

    def __init__(self, container: int | None, home: Path, uid: int) -> None:
        self._container = container
        self.home = home
        self._uid = uid
        self._machine: socket.socket | None = None

    def mount(self, directories: Mapping[str, str]) -> VolumesMounted:
        """Mount directories by mount path, all or none; return whether they are."""
        if self._container is None or not machine_socket.is_served(self._container):
            return VolumesMounted(reason=_NOWHERE)
        return self._ask(VolumesRequest(uid=self._uid, mount=dict(directories)))

    def unmount(self, paths: Sequence[str]) -> None:
        """Unmount what was mounted at these paths."""
        if self._machine is not None:
            self._ask(VolumesRequest(uid=self._uid, unmount=list(paths)))

    def close(self) -> None:
        """Unmount everything."""
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.close()

    def _ask(self, request: VolumesRequest) -> VolumesMounted:
        try:
            if self._machine is None:
                self._machine = self._connected()
            self._machine.sendall(encoded(request))
            received = b""
            while not received.endswith(b"\n"):
                data = self._machine.recv(MOST_BYTES)
                if not data:
                    raise ConnectionResetError(_NOWHERE)
                received += data
            return msgspec.json.decode(received, type=VolumesMounted)
        except (OSError, msgspec.MsgspecError) as error:
            self.close()  # the machine then unmounts what it has mounted
            return VolumesMounted(reason=str(error))

    def _connected(self) -> socket.socket:
        assert self._container is not None  # `mount` comes first
        with machine_socket.listen(self._container, SOCKET) as listening:
            until = time.monotonic() + _ANSWER_S
            while (left_s := until - time.monotonic()) > 0:
                if not select.select([listening], [], [], left_s)[0]:
                    break
                with contextlib.suppress(BlockingIOError):
                    if (machine := machine_socket.accept(listening)) is not None:
                        machine.settimeout(_ANSWER_S)
                        return machine
        raise TimeoutError(_NOWHERE)
