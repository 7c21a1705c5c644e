"""The embedded stack: what is left of it when its server was killed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from picloud_driver.scheduler.local_process import Process
from picloud_driver.scheduler.local_records import Records
from picloud_driver.stack import records
from picloud_driver.stack.wait import end

if TYPE_CHECKING:
    from pathlib import Path


def end_slots(data: Path) -> int:
    """End slots that are recorded in a data directory whose server has ended.

    Returns:
        How many there were.

    Raises:
        StackFault: When one does not end.
    """
    if not (data / "slots").is_dir():
        return 0
    with records.told(data), contextlib.ExitStack() as opened:
        known = Records(data)
        found = [record for place in known.places() if (record := known.read(place))]
        slots = [process for one in found if (process := Process.find(one.pid, one.birth))]
        for slot in slots:
            opened.enter_context(contextlib.closing(slot))
        living = [slot for slot in slots if slot.alive()]
        for slot in living:
            # All at once: each may take its time.
            slot.terminate()
        for slot in living:
            end(slot)
    return len(living)
