"""The startup deadline: waiting until a server that was started is ready."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeVar

from picloud_model.errors import PiCloudError

from picloud_driver.process import describe_status
from picloud_driver.stack.faults import Interrupted, StackFault
from picloud_driver.stack.servers.ports import HOST

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from picloud_driver.process import Process

READY_S: Final = 60.0
"""How long a server may take until it is ready."""
_POLL_S: Final = 0.05

Answer = TypeVar("Answer")


class _Server(Protocol):
    """What a deadline needs to know of its server."""

    name: ClassVar[str]

    def tail(self) -> str:
        """Return the end of its log."""


class StartupDeadline:
    """The time that one server has to become ready; its process must run meanwhile.

    Args:
        server: The server.
        process: Its process.
        deadline: When the time is over, by the monotonic clock.
        given_up: Set when another server has failed.
    """

    def __init__(
        self, server: _Server, process: Process, deadline: float, given_up: threading.Event
    ) -> None:
        self._server = server
        self._process = process
        self._deadline = deadline
        self._given_up = given_up

    def until(self, attempt: Callable[[], Answer]) -> Answer:
        """Repeat an attempt until it raises neither `PiCloudError` nor `OSError`; return its value.

        Raises:
            StackFault: When the server ends or the deadline passes; says why.
        """
        name = self._server.name
        while True:
            try:
                return attempt()
            except (PiCloudError, OSError) as error:
                reason = str(error)
            if not self._process.alive():
                status = describe_status(self._process.status())
                raise StackFault(f"{name} ended at once, with {status}.", self._server.tail())
            if time.monotonic() > self._deadline:
                message = f"{name} was not ready within {READY_S:.0f} s: {reason}"
                raise StackFault(message, self._server.tail())
            if self._given_up.wait(_POLL_S):
                raise Interrupted(f"{name} was not waited for.")

    def until_listening(self, port: int) -> None:
        """Wait until a port accepts connections."""
        self.until(lambda: socket.create_connection((HOST, port), 1.0).close())
