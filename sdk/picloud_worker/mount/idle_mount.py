"""The bucket at `/bucket` for jobs that open it by that path, without any request for it.

It is mounted when a slot starts, in a mount namespace of the slot or, from outside, in that of its
container. What serves it is started with the first request of a program: until then there is one
more descriptor, and nothing else. The kernel's own first request, which decides what it sends
later, is answered here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from pathlib import Path
from typing import Final, Self

from picloud_worker.mount.request import MOUNT_POINT, REQUEST_BYTES
from picloud_worker.mount.start import library, obstacle
from picloud_worker.system import namespace, procfs, read_ahead

_DEVICE: Final = "/dev/fuse"
_ROOT: Final = 0
_LIBRARY: Final = "libfuse3"
"""Only this one serves what is mounted already."""

_IN: Final = struct.Struct("=IIQQIIIHH")
"""Length, operation, number, node, user, group, process, and two fields that are not used here."""
_FORGET: Final = struct.Struct("=Q")
_OUT: Final = struct.Struct("=IiQ")
_INIT_IN: Final = struct.Struct("=IIII")
_INIT_OUT: Final = struct.Struct("=IIIIHHIIHH32x")
_OPERATION_INIT: Final = 26
_OPERATION_FORGET: Final = 2
_NODE_ROOT: Final = 1
_MAJOR, _MINOR = 7, 31
_PAGE: Final = 4096
_FLAGS: Final = sum(1 << bit for bit in (0, 3, 4, 5, 12, 13, 14, 15, 22))
"""What libfuse 3 asks for with the options of the file system: several reads of a file at a time,
O_TRUNC as part of `open`, large writes, attributes with the names of a folder, pages up to
`REQUEST_BYTES`."""


class IdleMount:
    """The mounted file system before it is served.

    Args:
        device: The descriptor that serves it; closing it ends the mount.
        first: The kernel's first request, which was answered.
    """

    def __init__(self, device: int, first: bytes) -> None:
        self.device = device
        self.first = first

    @classmethod
    def begin(cls, owner: tuple[int, int]) -> Self | None:
        """Mount in a new mount namespace of this process, if it is root and may; else None.

        The processes that this one starts later are in that namespace.

        Args:
            owner: The user, who alone has access, and the group.
        """
        if os.geteuid() != _ROOT or obstacle() or not library().startswith(_LIBRARY):
            return None
        with contextlib.suppress(OSError):
            # A directory of the machine that has files in it is not hidden.
            Path(MOUNT_POINT).mkdir(exist_ok=True)
            if (procfs.mount_at(MOUNT_POINT) or _is_empty()) and namespace.enter():
                return cls.mount(owner)
        return None

    @classmethod
    def mount(cls, owner: tuple[int, int]) -> Self:
        """Mount in the namespace of this process, over what was mounted there before.

        Raises:
            OSError: When the system refuses.
        """
        uid, gid = owner
        device = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            options = f"fd={device},rootmode=40000,user_id={uid},group_id={gid}"
            options = f"{options},max_read={REQUEST_BYTES}"
            namespace.mount_fuse("picloud", MOUNT_POINT, "fuse.bucket", options)
            with read_ahead.devices() as devices:
                read_ahead.set_read_ahead(MOUNT_POINT, REQUEST_BYTES, devices)
        except OSError:
            os.close(device)
            raise
        return cls.of(device)

    @classmethod
    def of(cls, device: int) -> Self:
        """Return what a device has just mounted; the device is closed if that fails.

        Raises:
            OSError: When the kernel speaks another version of FUSE.
        """
        try:
            first = os.read(device, REQUEST_BYTES)
            os.write(device, answer(first))
        except OSError:
            os.close(device)
            raise
        return cls(device, first)

    def close(self) -> None:
        """End the mount, unless another process serves it."""
        os.close(self.device)


class HandedMount:
    """A mounted file system as the process that will serve it sees it.

    libfuse begins with the kernel's first request. It reads that from a socket, and all others from
    the device.

    Args:
        device: The descriptor that serves it.
        first: The kernel's first request.
    """

    def __init__(self, device: int, first: bytes) -> None:
        self._device = device
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.send(first)
        self.at = f"/dev/fd/{self._theirs.fileno()}"
        """Where to mount, for libfuse."""

    def serve(self) -> None:
        """Let libfuse read from the device; called while it handles the first request.

        The answer to that goes to the device, too, which ignores it as a second one.
        """
        os.dup2(self._device, self._theirs.fileno(), inheritable=False)
        # Another thread of libfuse may read from the socket already: this makes it read again. If
        # none does, the socket is closed.
        size = _IN.size + _FORGET.size
        header = _IN.pack(size, _OPERATION_FORGET, 0, _NODE_ROOT, 0, 0, 0, 0, 0)
        with contextlib.suppress(BrokenPipeError):
            self._ours.send(header + _FORGET.pack(0))


def answer(first: bytes) -> bytes:
    """Return the answer to the kernel's first request.

    Raises:
        OSError: When it is another request.
    """
    _, operation, number, *_ = _IN.unpack_from(first)
    major, minor, _, offered = _INIT_IN.unpack_from(first, _IN.size)
    if operation != _OPERATION_INIT or major != _MAJOR or minor < _MINOR:
        raise OSError("the kernel speaks another version of FUSE")
    pages = REQUEST_BYTES // _PAGE
    head = (_MAJOR, _MINOR, REQUEST_BYTES, offered & _FLAGS, 0, 0)
    body = _INIT_OUT.pack(*head, REQUEST_BYTES, 1, pages, 0)
    return _OUT.pack(_OUT.size + len(body), 0, number) + body


def _is_empty() -> bool:
    with os.scandir(MOUNT_POINT) as entries:
        return next(entries, None) is None
