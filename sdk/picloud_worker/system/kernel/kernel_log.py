"""Kernel log: what the kernel says of a process that it ended: a crash, or lack of memory."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEVICE: Final = Path("/dev/kmsg")
_RECORD_BYTES: Final = 8192
"""The largest record, by the kernel's documentation."""
_MOST_RECORDS: Final = 100_000
"""How many records are read: the kernel may write faster than this reads."""
_SLACK_S: Final = 1.0
"""How far the clock of the log may be from that of the system."""
_PROCESS: Final = re.compile(r"\[(\d+)\]:? |[Pp]rocess (\d+)|\bpid[=:] ?(\d+)")


def lines_about(pid: int, age_s: float, device: Path = _DEVICE) -> list[str]:
    """Return the lines that name a process; none where the log may not be read.

    A container may not read it: its lines are those of the whole machine.

    Args:
        pid: The process.
        age_s: For how many seconds it has had that id; older lines are of another one.
        device: Where the log is read.
    """
    now, age_s = time.monotonic(), age_s + _SLACK_S
    lines = []
    for record in _records(device):
        # "level,number,microseconds,flags;text", and further lines with properties of devices.
        head, _, rest = record.partition(";")
        text = rest.partition("\n")[0]
        ago_s = now - int(head.split(",")[2]) / 1_000_000
        if ago_s <= age_s and str(pid) in {each for ids in _PROCESS.findall(text) for each in ids}:
            at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time.time() - ago_s))
            lines.append(f"{at} kernel: {text}")
    return lines


def _records(device: Path) -> Iterator[str]:
    """Yield what the log has now, the oldest first."""
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(descriptor, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # some were overwritten before they were read
            except OSError:
                return
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(descriptor)
