"""The heartbeat: while a job runs for long, a second connection reports it to the server.

It is a long poll in a thread of its own, so that a kill arrives at once and need not wait for the
next report.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import TYPE_CHECKING, Final

import msgspec
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
_LIVE_ANSWERS_S: Final = 1.0
"""How long the next heartbeat waits for the answers to live queries."""


class SlotJobs(msgspec.Struct, frozen=True):
    """The jobs that a heartbeat reports.

    `running` are those started, `holding` the others of the lease, `blocked_on` says what the
    blocked ones among the running wait for.
    """

    running: tuple[AttemptRef, ...] = ()
    holding: tuple[AttemptRef, ...] = ()
    blocked_on: tuple[BlockedOn, ...] = ()


NO_JOBS: Final = SlotJobs()


class Heartbeat:
    """Reports the jobs of a slot; `fileno` is readable when there are `answers`."""

    def __init__(
        self, api: ApiClient, outage: Outage, most_blocked: int = MAX_BLOCKED_JOBS
    ) -> None:
        self._api = api
        self._outage = outage
        self._most_blocked = most_blocked
        self._jobs = NO_JOBS
        self._polled = NO_JOBS
        self._changed = threading.Condition()
        self._answers: queue.SimpleQueue[HeartbeatAnswer | NotAllowed] = queue.SimpleQueue()
        self._wakeup, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._wakeup.settimeout(0)
        self._thread: threading.Thread | None = None
        self._open = True
        self._has_queries = False
        self._live_answers: list[LiveAnswer] = []

    def fileno(self) -> int:
        """Readable when there are answers."""
        return self._wakeup.fileno()

    def report(self, jobs: SlotJobs) -> None:
        """Report these jobs from now on; without any, send no heartbeats."""
        if jobs == self._jobs:
            return
        with self._changed:
            self._jobs = jobs
            if jobs != NO_JOBS and self._polled not in (NO_JOBS, jobs):
                self._api.interrupt()
            self._changed.notify()
        if self._thread is None and jobs != NO_JOBS:
            self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
            self._thread.start()

    def answer_queries(self, live_answers: list[LiveAnswer]) -> None:
        """Send the answers to live queries with the next heartbeat, at once."""
        with self._changed:
            self._live_answers += live_answers
            self._has_queries = False
            self._changed.notify()

    def answers(self) -> Iterator[HeartbeatAnswer]:
        """Yield the answers of the server since the last call.

        Raises:
            NotAllowed: When the server no longer knows this slot.
        """
        try:
            self._wakeup.recv(4096)
        except BlockingIOError:
            return
        while not self._answers.empty():
            answer = self._answers.get()
            if isinstance(answer, NotAllowed):
                raise answer
            yield answer

    def close(self) -> None:
        """Stop for good, and close the connection."""
        with self._changed:
            self._open = False
            self._api.interrupt()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        self._api.close()
        self._wakeup.close()
        self._waker.close()

    def wake(self) -> None:
        """Make `fileno` readable."""
        try:
            self._waker.send(b"!")
        except OSError:
            return  # full of wake-ups that were not read yet, or closed

    def _beat(self) -> None:
        while self._open:
            with self._changed:
                self._polled = NO_JOBS
                while self._jobs == NO_JOBS and self._open:
                    self._changed.wait()
                jobs = self._polled = self._jobs
                if self._open:
                    self._api.resume()  # an interrupt from now on is meant for this poll
            if jobs == NO_JOBS:
                return
            try:
                self._poll(jobs)
            except NotAllowed as refusal:
                self._put(refusal)
                return
            except PiCloudError:
                # With other jobs by now, the poll was interrupted in order to report these.
                if jobs == self._jobs and self._open:
                    self._outage.failed()
                    self._pause()

    def _poll(self, jobs: SlotJobs) -> None:
        with self._changed:
            live_answers, self._live_answers = self._live_answers, []
        blocked = len(jobs.blocked_on)
        request = HeartbeatRequest(
            running=list(jobs.running),
            holding=list(jobs.holding),
            wait_s=POLL_S,
            live=live_answers,
            awaiting=list(jobs.blocked_on),
            full=bool(blocked) and is_full(blocked, self._most_blocked, memory.left_bytes()),
        )
        answer = self._api.post("/v1/heartbeat", request, HeartbeatAnswer, POLL_S)
        self._outage.answered()
        if answer.live:
            self._has_queries = True
        if answer.kills or answer.lost or answer.exit or answer.live or answer.work:
            self._put(answer)
            self._await_live_answers()
        if answer.kills or answer.lost or answer.exit:
            self._pause()  # the server repeats the same answer until their ends are reported

    def _await_live_answers(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._has_queries or not self._open, _LIVE_ANSWERS_S)
            self._has_queries = False

    def _pause(self) -> None:
        with self._changed:
            if self._open:
                self._changed.wait(_PAUSE_S)

    def _put(self, answer: HeartbeatAnswer | NotAllowed) -> None:
        self._answers.put(answer)
        self.wake()
