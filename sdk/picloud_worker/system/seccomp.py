"""System calls that no job needs: the kernel refuses them to a child and to all that it starts.

Docker's seccomp profile refuses most of what is dangerous. io_uring it allowed before version 25:
a part of the kernel in which many ways out of containers were found.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Final

_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_IO_URING: Final = (425, 427)
"""First and last number of its calls, the same on every machine."""

# (code, jump if true, jump if false, value): linux/filter.h
_PROGRAM: Final = (
    (0x20, 0, 0, 0),  # the call's number
    (0x54, 0, 0, 0x3FFFFFFF),  # without the mark of another ABI
    (0x35, 0, 2, _IO_URING[0]),  # below the first: allowed
    (0x25, 1, 0, _IO_URING[1]),  # above the last: allowed
    (0x06, 0, 0, 0x00050000 | errno.EPERM),
    (0x06, 0, 0, 0x7FFF0000),
)


def refuse_io_uring() -> None:
    """Have io_uring answered with EPERM from now on, for good. NoNewPrivs has to be set.

    Raises:
        OSError: When the system refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(held))
    if libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "a filter of system calls is refused")
