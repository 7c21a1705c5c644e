"""Frees the disk space of a file's beginning; its offsets stay as they are."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any, Final

_PUNCH_HOLE_KEEP_SIZE: Final = 3


def punch_hole(descriptor: int, start: int, end: int) -> bool:
    """Free the disk space of the bytes `start .. end-1` of a file, which read as zeros afterwards.

    Returns:
        Whether the system and the file system can do that.
    """
    fallocate = _fallocate()
    if fallocate is None:
        return False
    status: int = fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, start, end - start)
    return status == 0


@cache
def _fallocate() -> Any:
    fallocate = getattr(ctypes.CDLL(None), "fallocate", None) if os.name == "posix" else None
    if fallocate is not None:
        fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return fallocate
