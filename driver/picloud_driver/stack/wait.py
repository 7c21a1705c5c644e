"""Waiting for a server to be ready, and for a process to end."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from picloud_model.errors import PiCloudError

from picloud_driver.scheduler.local_process import told
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.ports import HOST

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from picloud_driver.scheduler.local_process import Process
    from picloud_driver.stack.part import Part

READY_S: Final = 60.0
"""How long a server may take until it can be used."""
TERM_S: Final = 10.0
KILL_S: Final = 5.0
_POLL_S: Final = 0.05

Answer = TypeVar("Answer")


class Wait:
    """Patience with one server: it may take its time, but not for ever, and it has to live.

    Args:
        part: What is waited for.
        process: Its process.
        deadline: When patience ends, by the monotonic clock.
        given_up: Set when another server has failed.
    """

    def __init__(
        self, part: Part[Any], process: Process, deadline: float, given_up: threading.Event
    ) -> None:
        self._part = part
        self._process = process
        self._deadline = deadline
        self._given_up = given_up

    def until(self, happens: Callable[[], Answer]) -> Answer:
        """Ask again until there is an answer instead of a `PiCloudError` or `OSError`.

        Raises:
            StackFault: When the server ends meanwhile or the deadline comes; says why.
        """
        name = self._part.name
        while True:
            try:
                return happens()
            except (PiCloudError, OSError) as error:
                reason = str(error)
            if not self._process.alive():
                ended = told(self._process.status())
                raise StackFault(f"{name} ended at once, with {ended}.", self._part.tail())
            if time.monotonic() > self._deadline:
                message = f"{name} was not ready within {READY_S:.0f} s: {reason}"
                raise StackFault(message, self._part.tail())
            if self._given_up.wait(_POLL_S):
                raise Interrupted(f"{name} was not waited for.")

    def until_it_listens(self, port: int) -> None:
        """Wait until somebody listens at a port."""
        self.until(lambda: socket.create_connection((HOST, port), 1.0).close())


def end(process: Process) -> None:
    """Ask a process to end, and kill what is left of its session when it does not.

    Raises:
        StackFault: When it does not end even so.
    """
    try:
        # Not its group: a server that has workers ends them in its own order.
        os.kill(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    if not _ended(process, TERM_S):
        process.destroy()
        if not _ended(process, KILL_S):
            raise StackFault(f"Process {process.pid} does not end though killed.")


def _ended(process: Process, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
