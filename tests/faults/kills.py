"""Kills among faults: how long it takes until nothing of a killed job runs, and its client knows.

The second takes at least as long as the server is away.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil
from cloud import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

DEADLINE_S = 60.0


def sleep_and_say(where: str) -> None:
    """A job that writes its process id and does not end by itself."""
    import os

    Path(where).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(3600)


class Kills:
    """Starts an urgent job, kills it and waits for its end, again and again, until it is stopped.

    Only a kill that was acknowledged is timed. A job that a fault ends first is left out.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._gone_s: list[float] = []
        self._known_s: list[float] = []
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
        place = self._stack.shared / f"killed-{uuid4().hex}"
        jid = sender.call(sleep_and_say, str(place), _priority=0)
        with suppress(CloudException):
            waiter.status(jid)  # it only waits for a server that it has reached before
        until(lambda: place.exists() and place.read_text(), "the job runs", DEADLINE_S)
        sender.kill(jid)
        began = time.monotonic()
        until(lambda: not _runs(place), "nothing of it runs", DEADLINE_S)
        gone = time.monotonic()
        with suppress(CloudException):
            waiter.join(jid, timeout=DEADLINE_S)
        assert not _runs(place), "it does not run again"
        self._gone_s.append(gone - began)
        self._known_s.append(time.monotonic() - began)

    def stop(self) -> str:
        """Stop, and return how long the kills took."""
        self._stopped.set()
        self._thread.join(2 * DEADLINE_S)
        if not self._gone_s:
            return "no kill"
        return (
            f"{len(self._gone_s)} kills: nothing runs after {_percentiles(self._gone_s)}, "
            f"the client knows after {_percentiles(self._known_s)}"
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
