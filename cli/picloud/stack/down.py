"""What `picloud down` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.stack import embedded, records

from picloud import output
from picloud.stack import profile, server_record
from picloud.stack.servers import hashicorp, stack_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud.stack.server_record import ServerRecord

_SERVERS: Final = "stack"
"""The subdirectory of the data directory in which the servers of a stack are recorded."""


def run(data: Path) -> bool:
    """Stop everything that is recorded in a data directory; return whether anything was running.

    Raises:
        CloudException: When something cannot be stopped; everything else was stopped.
    """
    if not data.is_dir():
        return False
    with stack_errors(), records.exclusive(data):
        return stop(data, server_record.read(data), output.text)


def stop(data: Path, record: ServerRecord | None, report: Callable[[str], object]) -> bool:
    """Stop a server, its slots and the servers below it; return whether anything was running.

    The profile that names the server names again what it named before.

    Args:
        data: The data directory, whose lock the caller holds.
        record: The server, if one was started.
        report: Called with a line for each thing that was stopped.
    """
    was_running = False
    if record and server_record.terminate(record):
        was_running = True
        report(f"PiCloud at {record.url} stopped.")
    if slots := embedded.end_slots(data):
        was_running = True
        report(f"Slots that were left: {slots} stopped.")
    if (data / _SERVERS).is_dir():
        servers = hashicorp(data)
        if names := servers.running():
            was_running = True
            report(f"Stopping slots and {', '.join(names)}:")
        servers.stop(record.url if record else "")
    if record:
        profile.give_back(record.before, record.profile, report, server_record.answers)
    server_record.remove(data)
    return was_running
