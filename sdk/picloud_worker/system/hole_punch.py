"""Frees the disk space of a file's beginning; its offsets stay as they are."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any, Final

_PUNCH_HOLE_KEEP_SIZE: Final = 3


def punch_hole(descriptor: int, start: int, end: int) -> bool:
    """Free the room that bytes `start .. end-1` of a file take; they read as zeros afterwards.

    Returns:
        Whether that is possible on this system and for this file.
    """
    punch = _fallocate()
    if punch is None:
        return False
    answer: int = punch(descriptor, _PUNCH_HOLE_KEEP_SIZE, start, end - start)
    return answer == 0


@cache
def _fallocate() -> Any:
    found = getattr(ctypes.CDLL(None), "fallocate", None) if os.name == "posix" else None
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return found
