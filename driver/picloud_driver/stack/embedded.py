"""The embedded stack: ending slots that a killed server left running."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from picloud_driver.process import Process
from picloud_driver.scheduler.local.records import SlotRecords
from picloud_driver.stack import records
from picloud_driver.stack.termination import terminate

if TYPE_CHECKING:
    from pathlib import Path


def end_slots(data: Path) -> int:
    """End the recorded slots of a data directory whose server has ended.

    Returns:
        The number of slots that were running.

    Raises:
        StackFault: When a slot does not end.
    """
    if not (data / "slots").is_dir():
        return 0
    with records.disk_faults(data), contextlib.ExitStack() as stack:
        stored = SlotRecords(data)
        slots = [record for place in stored.places() if (record := stored.read(place))]
        processes = [process for one in slots if (process := Process.find(one.pid, one.birth))]
        for process in processes:
            stack.enter_context(contextlib.closing(process))
        running = [process for process in processes if process.alive()]
        for process in running:
            # All at once: each may take some time.
            process.terminate()
        for process in running:
            terminate(process)
    return len(running)
