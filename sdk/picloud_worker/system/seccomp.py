"""Lets the kernel refuse system calls that no job needs to a child and to all that it starts.

Docker's seccomp profile refuses most of the dangerous ones, but before version 25 it allowed
io_uring, a part of the kernel in which many ways out of containers were found.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import Final

_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_IO_URING: Final = (425, 427)
"""The first and the last number of its calls, the same on every architecture."""

# (code, jump if true, jump if false, value): linux/filter.h
_PROGRAM: Final = (
    (0x20, 0, 0, 0),  # the call's number
    (0x54, 0, 0, 0x3FFFFFFF),  # without the bits of another ABI
    (0x35, 0, 2, _IO_URING[0]),  # below the first: allowed
    (0x25, 1, 0, _IO_URING[1]),  # above the last: allowed
    (0x06, 0, 0, 0x00050000 | errno.EPERM),
    (0x06, 0, 0, 0x7FFF0000),
)


def refuse_io_uring() -> None:
    """Let the calls of io_uring fail with EPERM from now on. NoNewPrivs has to be set.

    Raises:
        OSError: When the system refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("=HBBI", *line) for line in _PROGRAM)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(_PROGRAM), ctypes.addressof(buffer))
    if libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "the system refuses a filter of system calls")
