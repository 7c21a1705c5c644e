"""Starts the process that serves a mount, and says why it cannot."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

_DEVICE: Final = "/dev/fuse"
_LIBRARIES: Final = ("libfuse3.so.3", "libfuse3.so.4", "libfuse.so.2")
_ROOT: Final = 0


def start(
    connection: int, options: Sequence[str], inherited: Sequence[int]
) -> subprocess.Popen[bytes]:
    """Start the process that serves the mount that it will be asked for through a socket.

    Args:
        connection: The descriptor of the socket.
        options: Its other arguments.
        inherited: The descriptors that it gets, the socket among them.
    """
    import subprocess  # noqa: PLC0415 - few slots mount the bucket

    # Two arenas: the memory that its threads free is used again by others.
    variables = ["env", f"FUSE_LIBRARY_PATH={library()}", "MALLOC_ARENA_MAX=2"]
    python = [*variables, sys.executable, "-P", "-m", "picloud_worker.mount"]
    return subprocess.Popen(  # noqa: S603
        [*python, "--socket", str(connection), *options],
        stdin=subprocess.DEVNULL,
        pass_fds=inherited,
        start_new_session=True,
    )


def obstacle() -> str:
    """Return why no file system can be mounted here, "" if one can."""
    import importlib.util  # noqa: PLC0415 - few slots mount the bucket
    import shutil  # noqa: PLC0415

    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} is missing, or this user may not use it"
    if importlib.util.find_spec("mfusepy") is None:
        return "the package mfusepy is not installed"
    if not library():
        return "libfuse is not installed; install the package fuse3"
    if os.geteuid() != _ROOT and shutil.which("fusermount3") is None:
        return "fusermount3 is not installed; install the package fuse3"
    return ""


def library() -> str:
    """Return the name of the library that mounts file systems, "" if there is none.

    `ctypes.util.find_library` and mfusepy start `ldconfig`, `gcc` and `ld` to find it, which takes
    longer than mounting.
    """
    import ctypes  # noqa: PLC0415 - few slots mount the bucket

    for name in _LIBRARIES:
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)
            return name
    return ""
