"""The filter of system calls for children."""

from __future__ import annotations

import ctypes
import errno
import os

from picloud_worker.system import process_lifetime, seccomp


def test_a_child_is_refused_io_uring_and_nothing_else() -> None:
    """Its three calls fail with EPERM; the neighbouring calls work as before."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        process_lifetime.set_no_new_privs()
        seccomp.refuse_io_uring()
        codes = []
        for number in (424, 425, 426, 427, 428):
            ctypes.set_errno(0)
            refused = libc.syscall(number, -1, 0, 0, 0, 0, 0) == -1
            codes.append(errno.errorcode[ctypes.get_errno()] if refused else "")
        os.write(writer, " ".join(codes).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        before, *io_uring, after = pipe.read().split()
    os.waitpid(child, 0)

    assert io_uring == ["EPERM"] * 3
    assert (before, after) == ("EBADF", "EFAULT")
