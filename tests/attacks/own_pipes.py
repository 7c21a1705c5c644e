"""What a job can do to the pipes of its own process; jobs import it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def pipes(kind: Callable[[int], bool] = stat.S_ISFIFO) -> list[int]:
    """Return the descriptors of this process that are pipes, or something else."""
    ends = []
    for number in map(int, [path.name for path in Path("/proc/self/fd").iterdir()]):
        with contextlib.suppress(OSError):
            if number > 2 and kind(os.fstat(number).st_mode):
                ends.append(number)
    return ends


def write(data: bytes) -> None:
    """Write to each of the pipes that can be written to."""
    for end in pipes():
        with contextlib.suppress(OSError):
            os.write(end, data)
