"""How much the kernel reads ahead from a file system: 128 KiB, unless it is set for its device."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEVICES: Final = "/sys/class/bdi"
_STATX: Final = struct.Struct("136x2I112x")
"""Of the fields of `struct statx`, the number of the device."""
_HERE: Final = -100  # AT_FDCWD
_DO_NOT_ASK: Final = 0x4000  # AT_STATX_DONT_SYNC
_NOTHING: Final = 0
"""The mask that asks for no field but the device, which any user may see."""


@contextlib.contextmanager
def devices() -> Iterator[int]:
    """Yield a descriptor of the directory of all devices, valid in any mount namespace, or -1."""
    directory = -1
    with contextlib.suppress(OSError):
        directory = os.open(_DEVICES, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        if directory >= 0:
            os.close(directory)


def set_read_ahead(path: str, size: int, directory: int) -> None:
    """Have the kernel read ahead so many bytes from a file system; only root can.

    It is not asked for anything, so it need not be served yet. A failure only makes it slower.

    Args:
        path: Where it is mounted.
        size: In bytes, a multiple of 1,024.
        directory: What `devices` yields.
    """
    with contextlib.suppress(OSError, AttributeError):  # an old C library has no statx
        answer = ctypes.create_string_buffer(_STATX.size)
        library = ctypes.CDLL(None, use_errno=True)
        if library.statx(_HERE, os.fsencode(path), _DO_NOT_ASK, _NOTHING, answer):
            return
        major, minor = _STATX.unpack(answer.raw)
        name = f"{major}:{minor}/read_ahead_kb"
        setting = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(setting, str(size // 1024).encode())
        finally:
            os.close(setting)
