"""Kills among faults: how long it takes until nothing of a killed job runs, and its client knows.

While no process of the API lives, no kill can reach a job, and no client can learn of its end. That
time is reported apart, as it is the time of the fault and of the start after it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import psutil
from cloud import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack
    from tests.faults.timeline import Timeline

DEADLINE_S = 60.0
BEFORE_S = 5.0
"""Faults that ended up to so long before a kill are shown with it."""


def sleep_and_say(where: str) -> None:
    """A job that writes its process id and does not end by itself."""
    import os

    Path(where).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(3600)


class Kill(NamedTuple):
    """The times of a kill, in seconds since the epoch.

    The client asks, its request is acknowledged, nothing of the job runs, the server notes the end
    (0 if that is not known), the client knows.
    """

    asked_at: float
    acknowledged_at: float
    gone_at: float
    ended_at: float
    known_at: float

    def describe(self, timeline: Timeline) -> str:
        """Return what happened when, in seconds since the kill was acknowledged."""
        begun_at = self.acknowledged_at
        periods = [
            f"{fault.what} from {fault.began_at - begun_at:.2f} to {fault.ended_at - begun_at:.2f}"
            for fault in timeline.near(begun_at, self.known_at, BEFORE_S)
        ]
        ended = f"the server noted it at {self.ended_at - begun_at:.2f}" if self.ended_at else ""
        parts = [
            f"asked for at {self.asked_at - begun_at:.2f}",
            f"nothing ran at {self.gone_at - begun_at:.2f}",
            *filter(None, [ended]),
            f"the client knew at {self.known_at - begun_at:.2f}",
            *periods,
        ]
        return ", ".join(parts)


class Kills:
    """Starts an urgent job, kills it and waits for its end, again and again, until it is stopped.

    Only a kill that was acknowledged is timed. A job that a fault ends first is left out.

    Args:
        stack: Where it does that.
        timeline: The faults meanwhile.
    """

    def __init__(self, stack: Stack, timeline: Timeline) -> None:
        self._stack = stack
        self._timeline = timeline
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._kills: list[Kill] = []
        self._thread.start()

    def _run(self) -> None:
        # A call that got no answer must be repeated by the same client, or its job would stay. A
        # client as users have it waits for the end: a patient one pauses for up to 5 s.
        sender, waiter = self._stack.client(patient=True), self._stack.client()
        while not self._stopped.is_set():
            with suppress(CloudException, TimeoutError, OSError):
                self._kill_one(sender, waiter)
        sender.close()
        waiter.close()

    def _kill_one(self, sender: Client, waiter: Client) -> None:
        clock = self._timeline.clock
        place = self._stack.shared / f"killed-{uuid4().hex}"
        jid = sender.call(sleep_and_say, str(place), _priority=0)
        with suppress(CloudException):
            waiter.status(jid)  # it only waits for a server that it has reached before
        until(lambda: place.exists() and place.read_text(), "the job runs", DEADLINE_S)
        asked_at = clock()
        sender.kill(jid)
        acknowledged_at = clock()
        until(lambda: not _runs(place), "nothing of it runs", DEADLINE_S)
        gone_at = clock()
        with suppress(CloudException):
            waiter.join(jid, timeout=DEADLINE_S)
        known_at = clock()
        assert not _runs(place), "it does not run again"
        ended_at = 0.0
        with suppress(CloudException):
            finished = waiter.info(jid, "finished")[jid]["finished"]
            ended_at = finished.timestamp() if finished else 0.0
        self._kills.append(
            Kill(
                asked_at=asked_at,
                acknowledged_at=acknowledged_at,
                gone_at=gone_at,
                ended_at=ended_at,
                known_at=known_at,
            )
        )

    def stop(self) -> str:
        """Stop, and return how long the kills took."""
        self._stopped.set()
        self._thread.join(2 * DEADLINE_S)
        return report(self._kills, self._timeline)


def report(kills: Sequence[Kill], timeline: Timeline) -> str:
    """Return how long kills took, in all and while the API lived, and what the slowest met."""
    if not kills:
        return "no kill"
    gone = [(kill.acknowledged_at, kill.gone_at) for kill in kills]
    known = [(kill.acknowledged_at, kill.known_at) for kill in kills]

    def taken(spans: list[tuple[float, float]]) -> str:
        return _percentiles([last - first for first, last in spans])

    def served(spans: list[tuple[float, float]]) -> str:
        return _percentiles([last - first - timeline.down_s(first, last) for first, last in spans])

    slowest = max(kills, key=lambda kill: kill.known_at - kill.acknowledged_at)
    return (
        f"{len(kills)} kills: nothing runs after {taken(gone)}, the client knows after "
        f"{taken(known)}; without the time in which no process of the API lived, nothing runs "
        f"after {served(gone)}, the client knows after {served(known)}; the slowest kill: "
        f"{slowest.describe(timeline)}"
    )


def _percentiles(taken_s: list[float]) -> str:
    taken = sorted(taken_s)
    p99 = taken[min(len(taken) - 1, int(0.99 * len(taken)))]
    return f"{taken[len(taken) // 2]:.2f} s (median), {p99:.2f} s (p99)"


def _runs(place: Path) -> bool:
    """Whether the process that a job last named is alive."""
    pid = int(place.read_text(encoding="ascii"))
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
