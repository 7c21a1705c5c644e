"""A lock of a file between the processes of a machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from cloud.errors import CloudTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_S: Final = 0.05


@contextmanager
def file_lock(path: str, timeout: float | None) -> Iterator[None]:
    """Hold the lock of a path for the length of a `with` block; a process that ends releases it.

    The file that is locked is in the directory for temporary files, so that none is left next to
    the path. On systems without such locks nothing is locked.

    Raises:
        CloudTimeoutError: When another process still holds it after `timeout` seconds.
    """
    name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]  # noqa: PTH100
    directory = os.path.join(tempfile.gettempdir(), f"picloud-locks-{_user()}")  # noqa: PTH118
    os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103
    with open(os.path.join(directory, name), "wb") as file:  # noqa: PTH118, PTH123
        deadline = None if timeout is None else time.monotonic() + timeout
        while not locked(file):
            if deadline is not None and time.monotonic() >= deadline:
                raise CloudTimeoutError(
                    f"Another process has been writing {path} for {timeout:g} s."
                )
            time.sleep(_LOOK_S)
        yield


def locked(file: IO[bytes]) -> bool:
    """Lock an open file, unless another process has; return whether it did."""
    try:
        import fcntl  # noqa: PLC0415 - only Unix has it
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "all"
