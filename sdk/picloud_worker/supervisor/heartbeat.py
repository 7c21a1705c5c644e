"""The heartbeat: while a child is busy for long, a second connection names its job and listens.

It is a long poll in a thread of its own, so that a kill reaches the slot at once and no kill waits
for a report to leave.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import TYPE_CHECKING, Final

from picloud_model.errors import NotAllowed, PiCloudError
from picloud_model.wire import (
    MAX_BLOCKED_JOBS,
    AttemptRef,
    BlockedOn,
    HeartbeatAnswer,
    HeartbeatRequest,
)

from picloud_worker.supervisor.blocked_jobs import is_full
from picloud_worker.system import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire import LiveAnswer

    from picloud_worker.api.client import ApiClient
    from picloud_worker.api.outage import Outage

POLL_S: Final = 5.0
_PAUSE_S: Final = 0.5
_JOIN_S: Final = 1.0
_TELL_S: Final = 1.0
"""How long a beat waits for what it was asked."""

Names = tuple[tuple[AttemptRef, ...], tuple[AttemptRef, ...], tuple[BlockedOn, ...]]
NOTHING: Final[Names] = ((), (), ())
"""Jobs that run, jobs held beside them, and what the blocked ones among the first wait for."""


class Heartbeat:
    """Names what runs until told otherwise; `answers` are there when `fileno` is readable."""

    def __init__(self, api: ApiClient, outage: Outage, most_aside: int = MAX_BLOCKED_JOBS) -> None:
        self._api = api
        self._most_aside = most_aside
        self._outage = outage
        self._names: Names = NOTHING
        self._polled: Names = NOTHING
        self._changed = threading.Condition()
        self._answers: queue.SimpleQueue[HeartbeatAnswer | NotAllowed] = queue.SimpleQueue()
        self._bell, self._ringer = socket.socketpair()
        self._ringer.settimeout(0)
        self._bell.settimeout(0)
        self._thread: threading.Thread | None = None
        self._open = True
        self._asked = False
        self._told: list[LiveAnswer] = []

    def fileno(self) -> int:
        """Readable when there are answers."""
        return self._bell.fileno()

    def name(
        self,
        running: tuple[AttemptRef, ...],
        holding: tuple[AttemptRef, ...] = (),
        awaiting: tuple[BlockedOn, ...] = (),
    ) -> None:
        """Say what runs from now on; with nothing running and nothing held it falls silent."""
        names = (running, holding, awaiting)
        if names == self._names:
            return
        with self._changed:
            self._names = names
            if names != NOTHING and self._polled not in (NOTHING, names):
                self._api.interrupt()
            self._changed.notify()
        if self._thread is None and names != NOTHING:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()

    def tell(self, live: list[LiveAnswer]) -> None:
        """Answer what was asked about the jobs that run."""
        with self._changed:
            self._told += live
            self._asked = False
            self._changed.notify()

    def answers(self) -> Iterator[HeartbeatAnswer]:
        """What the server has said since the last time.

        Raises:
            NotAllowed: When it does not know this slot any more.
        """
        try:
            self._bell.recv(4096)
        except BlockingIOError:
            return
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, NotAllowed):
                raise answer
            yield answer

    def close(self) -> None:
        """Fall silent for good and hang up."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._api.interrupt()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._api.close()
        self._bell.close()
        self._ringer.close()

    def _beat(self) -> None:
        while self._open:
            with self._changed:
                self._polled = NOTHING
                while self._names == NOTHING and self._open:
                    self._changed.wait()
                names = self._polled = self._names
            if names == NOTHING:
                return
            try:
                self._poll(names)
            except NotAllowed as refused:
                self._put(refused)
                return
            except PiCloudError:
                if (
                    names == self._names and self._open
                ):  # else we were interrupted to name something else
                    self._outage.failed()
                    self._pause()

    def _poll(self, names: Names) -> None:
        running, holding, awaiting = names
        with self._changed:
            live, self._told = self._told, []
        request = HeartbeatRequest(
            running=list(running),
            holding=list(holding),
            wait_s=POLL_S,
            live=live,
            awaiting=list(awaiting),
            full=bool(awaiting) and is_full(len(awaiting), self._most_aside, memory.left_bytes()),
        )
        answer = self._api.post("/v1/heartbeat", request, HeartbeatAnswer, POLL_S)
        self._outage.answered()
        if answer.live:
            self._asked = True
        if answer.kills or answer.lost or answer.exit or answer.live or answer.work:
            self._put(answer)
            self._await_told()
        if answer.kills or answer.lost or answer.exit:
            self._pause()  # the same news would come again until they have been reported

    def _await_told(self) -> None:
        """What was asked about what runs travels with the next beat, so that it is sent at once."""
        with self._changed:
            self._changed.wait_for(lambda: not self._asked or not self._open, _TELL_S)
            self._asked = False

    def _pause(self) -> None:
        with self._changed:
            if self._open:
                self._changed.wait(_PAUSE_S)

    def _put(self, answer: HeartbeatAnswer | NotAllowed) -> None:
        self._answers.put(answer)
        self.ring()

    def ring(self) -> None:
        """Wake whoever waits for `fileno`."""
        try:
            self._ringer.send(b"!")
        except OSError:
            return  # full of rings that were not heard yet, or closed
