"""What `picloud down` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.stack import records

from picloud import output
from picloud.stack import server_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from picloud.stack.server_record import ServerRecord

_SERVERS: Final = "stack"
"""The directory below the data directory that the servers of a stack are recorded in."""


def run(data: Path) -> bool:
    """Stop whatever is recorded in a data directory; whether anything ran.

    Raises:
        CloudException: When something does not end; what could be ended was.
    """
    if not data.is_dir():
        return False
    with server_record.explained(), records.exclusive(data):
        return stop(data, server_record.read(data), output.text)


def stop(data: Path, up: ServerRecord | None, tell: Callable[[str], object]) -> bool:
    """Stop a server, its slots and the servers below it, in this order; whether anything ran.

    Args:
        data: Whose lock we hold.
        up: The server, if one was started.
        tell: Takes a line for each thing that was stopped.
    """
    ran = False
    if up and server_record.end(up):
        ran = True
        tell(f"PiCloud at {up.url} stopped.")
    if slots := server_record.end_slots(data):
        ran = True
        tell(f"Slots that were left: {slots} stopped.")
    if (data / _SERVERS).is_dir():
        servers = server_record.hashicorp(data)
        if names := servers.running():
            ran = True
            tell(f"Stopping slots and {', '.join(names)}:")
        servers.stop(up.url if up else "")
    server_record.forget(data)
    return ran
