"""Requests from a job's process to the supervisor of its slot, over a local socket.

No token is in an environment variable, an argument or a file: only the name of the socket is, and
the supervisor serves processes of the same user only.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.job_socket import address

from cloud.errors import CloudConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.ranges import Range

ANSWER_S: Final = 30.0
"""Longest time to wait for the supervisor, which may be waiting for the server."""
_NOTED_S: Final = 1.0
"""Longest time that a job waits until its progress is noted."""
_MOUNT_PAUSE_S: Final = 0.02
_Answer = TypeVar("_Answer", bound=msgspec.Struct)
_Waited = TypeVar("_Waited")
MOST_RANGES: Final = 200
"""Most ranges of jids reported; the server knows which jobs this one has created."""


class SupervisorClient:
    """Sends requests to the supervisor that runs this job.

    Args:
        name: The name of the supervisor's socket.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def grant(self) -> wire.JobGrant:
        """Return the URL of the API and the token of the job that runs.

        Raises:
            CloudConnectionError: When the supervisor does not answer.
        """
        return self._ask(wire.JobSocketRequest(), wire.JobGrant)

    def mount(self) -> str:
        """Return where the bucket is mounted, once it is.

        Raises:
            CloudConnectionError: When the supervisor does not answer, or cannot mount it.
        """
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            mounted = self._ask(wire.JobSocketRequest(mount=True), wire.BucketMounted)
            if mounted.reason:
                raise CloudConnectionError(mounted.reason)
            if mounted.ready:
                return mounted.path
            time.sleep(_MOUNT_PAUSE_S)
        raise CloudConnectionError("The bucket is not mounted in time; try again.")

    def mount_volumes(self, paths: Mapping[str, str]) -> bool:
        """Have volumes of this job mounted at paths given by name; return whether all are.

        Raises:
            CloudConnectionError: When the supervisor does not answer.
        """
        request = wire.JobSocketRequest(volumes=dict(paths))
        return self._ask(request, wire.VolumesMounted).ready

    def progress(self, done: float, total: float | None) -> None:
        """Say how far the job is.

        Raises:
            OSError: When the supervisor cannot be reached, or is busy.
        """
        with self._send(wire.JobSocketRequest(progress=(done, total))) as connected:
            # Until it hangs up: the job may end next, and another one begin in this process.
            connected.settimeout(_NOTED_S)
            connected.recv(1)

    def _ask(self, body: wire.JobSocketRequest, kind: type[_Answer]) -> _Answer:
        try:
            with self._send(body) as connected, connected.makefile("rb") as answer:
                return wire.decode(answer.readline(), kind, wire.JSON)
        except (OSError, msgspec.MsgspecError) as error:
            raise CloudConnectionError(f"The slot of this job does not answer: {error}.") from error

    @contextlib.contextmanager
    def blocked(self, open_: Sequence[Range], *, timed: bool) -> Iterator[None]:
        """Report that the job waits for these jobs while the `with` block runs.

        Meanwhile the slot runs those jobs and the jobs that they create. If the supervisor cannot
        be reached, the job waits without that.
        """
        body = wire.JobSocketRequest(awaiting=list(open_[:MOST_RANGES]), timed=timed)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                stack.enter_context(self._send(body))
            yield

    def wait(
        self,
        ask: Callable[[float], _Waited],
        is_enough: Callable[[_Waited], bool],
        hold_s: float,
        jids: Sequence[Range],
        *,
        timed: bool,
    ) -> _Waited:
        """Ask the server about jobs, which may hold the request; let the slot run them meanwhile.

        Args:
            ask: Sends the request, which the server holds for so many seconds.
            is_enough: Whether an answer is what the job waits for.
            hold_s: For how many seconds the server may hold it.
            jids: The jobs.
            timed: Whether the job waits for a limited time.
        """
        # Without waiting first: being set aside costs more than another request.
        answer = ask(0.0)
        if is_enough(answer) or not hold_s:
            return answer
        with self.blocked(jids, timed=timed):
            return ask(hold_s)

    def _send(self, body: wire.JobSocketRequest) -> socket.socket:
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(ANSWER_S)
            connected.connect(address(self._name))
            connected.sendall(wire.encode(body, wire.JSON) + b"\n")
        except BaseException:
            connected.close()
            raise
        return connected
