"""Desktops as their owner sees them, besides what they have in common with notebooks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from cloud._client.current import client
from cloud._notebook.machine import host_desktop
from cloud._notebook.session import checked_name, ready, request, submit
from cloud._resources.environment import EnvironmentClient
from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from cloud._arguments.options import CallOptions
    from cloud._jobs.job import Job

ENVIRONMENT: Final = "/picloud/desktop"
"""The public environment with an X server and programs, which `picloud admin desktop` makes."""
_GEOMETRY: Final = re.compile("([0-9]{3,4})x([0-9]{3,4})")
_DEPTHS: Final = (16, 24)
_MOST_COMMAND: Final = 10_000


def start(
    name: str, idle: float, chosen: CallOptions, *, geometry: str, depth: int, run: str
) -> Job:
    """Submit the job of a desktop, and return it.

    Raises:
        CloudException: When it is already running.
        CloudValueError: When an argument is not valid.
    """
    checked_name(name, "desktop")
    screen = checked_screen(geometry, depth)
    if not isinstance(run, str) or "\0" in run or len(run) > _MOST_COMMAND:
        raise CloudValueError("`run` is a command line, a text of up to 10,000 characters.")
    if chosen.options.env is None and _has_environment():
        chosen = replace(chosen, options=replace(chosen.options, env=ENVIRONMENT))
    return submit("desktop", name, idle, chosen, host_desktop, screen, run)


def checked_screen(geometry: Any, depth: Any) -> str:
    """Return the size and depth of a screen.

    Raises:
        CloudValueError: When they are not possible.

    >>> checked_screen("1280x800", 24)
    '1280x800x24'
    """
    if not isinstance(geometry, str) or not _GEOMETRY.fullmatch(geometry):
        raise CloudValueError(
            f"{geometry!r:.80} is not the size of a screen: write width and height in pixels, such "
            "as 1280x800."
        )
    if isinstance(depth, bool) or depth not in _DEPTHS:
        raise CloudValueError(f"{depth!r:.80} is not a depth: use 16 or 24 bits.")
    return f"{geometry}x{depth}"


def vnc(name: str, timeout: float | None) -> dict[str, Any]:
    """Return what VNC clients need; raises as `ready`."""
    machine = ready(name, timeout, kind="desktop")
    _, body = request(machine, "GET", "/screen")
    screen = msgspec.json.decode(body)
    return {"jid": machine.jid, "port": screen["port"], "password": screen["password"]}


def _has_environment() -> bool:
    try:
        return bool(EnvironmentClient(client().transport).get(ENVIRONMENT).versions)
    except CloudException:
        return False
