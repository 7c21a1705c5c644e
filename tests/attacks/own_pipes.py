"""What a job can do to the pipes of its own process; jobs import it."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

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


def report_done(result: bytes) -> None:
    """Report the job of this process as done, as its child would report the end."""
    loop = next(value for value in gc.get_objects() if type(value).__name__ == "ChildLoop")
    started = loop._channels.scoreboard.started_job(loop._channels.child_index)
    report = [0, 1, 5, 0, time.time(), time.time(), result]
    body = msgspec.msgpack.encode([started.generation, started.position, report])
    write(struct.pack("<I", len(body)) + body)
    loop._wake()
