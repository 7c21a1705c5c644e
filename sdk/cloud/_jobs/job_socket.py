"""The line: how a job's process asks the supervisor of its slot, over a local socket.

No token lies in an environment, in arguments or in a file: only the name of the socket does, and
only processes of the same user are answered.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire
from picloud_model.job_socket import address

from cloud.errors import CloudConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.ranges import Range

ANSWER_S: Final = 30.0
"""Longest time to wait for the supervisor, which may be waiting for the server."""
MOST_RANGES: Final = 200
"""Ranges of jids told at most; the rest is found by who made the jobs."""


class Line:
    """The way from a job to its supervisor."""

    def __init__(self, name: str) -> None:
        self._name = name

    def grant(self) -> wire.JobGrant:
        """Where the API is, and the token of the job that runs.

        Raises:
            CloudConnectionError: When the supervisor does not answer.
        """
        try:
            with (
                self._said(wire.JobSocketRequest()) as connected,
                connected.makefile("rb") as answer,
            ):
                return wire.decode(answer.readline(), wire.JobGrant, wire.JSON)
        except (OSError, msgspec.MsgspecError) as error:
            raise CloudConnectionError(f"The slot of this job does not answer: {error}.") from error

    @contextlib.contextmanager
    def blocked(self, open_: Sequence[Range], *, timed: bool) -> Iterator[None]:
        """Tell that the job waits for these jobs, for the length of a `with` block.

        Its slot runs them, and what they make, meanwhile. Unheard, it just waits.
        """
        body = wire.JobSocketRequest(awaiting=list(open_[:MOST_RANGES]), timed=timed)
        with contextlib.ExitStack() as kept:
            with contextlib.suppress(OSError):
                kept.enter_context(self._said(body))
            yield

    def _said(self, body: wire.JobSocketRequest) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(ANSWER_S)
            connected.connect(address(self._name))
            connected.sendall(wire.encode(body, wire.JSON) + b"\n")
        except BaseException:
            connected.close()
            raise
        return connected
