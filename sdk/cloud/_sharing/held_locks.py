"""The locks that this process holds: a thread renews those that end with their client."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING, Final

from picloud_model.wire.lock import HeldLock

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud._resources.lock import LockClient

RENEW_S: Final = 2.0
"""How often locks are renewed: three times before they would be lost."""


class HeldHere:
    """One lock that this process holds.

    Args:
        name: The name of the lock.
        hold: Identifies this holding at the server.
        client: What renews and releases it.
    """

    def __init__(self, name: str, hold: str, client: LockClient) -> None:
        self.name = name
        self.hold = hold
        self.client = client
        self.thread = threading.get_ident()
        self.process = os.getpid()
        self.fence = 0
        self.held_s = 0.0
        self._until = inf

    @property
    def is_valid(self) -> bool:
        """Whether the lock is held for sure: it was renewed in time, and not reported as lost."""
        return time.monotonic() < self._until

    def renewed(self, sent_at: float) -> None:
        """Count it as held, for so long from the time at which a request was sent."""
        self._until = sent_at + self.held_s if self.held_s else inf

    def lose(self) -> None:
        """Count it as lost."""
        self._until = -inf


class HeldLocks:
    """The locks that one process holds.

    Args:
        renew_s: How often they are renewed.
    """

    def __init__(self, renew_s: float = RENEW_S) -> None:
        self._renew_s = renew_s
        self._held: list[HeldHere] = []
        self._changed = threading.Condition()
        self._renewer: threading.Thread | None = None

    def find(self, name: str) -> HeldHere | None:
        """Return what the current thread holds of a lock."""
        with self._changed:
            mine = threading.get_ident()
            found = [each for each in self._held if each.name == name and each.thread == mine]
            return next((each for each in found if each.is_valid), None)

    def add(self, held: HeldHere) -> None:
        """Renew a lock from now on, unless it is bound to a job."""
        with self._changed:
            self._held.append(held)
            if held.held_s and (self._renewer is None or not self._renewer.is_alive()):
                self._renewer = threading.Thread(
                    target=self._run, name="picloud-locks", daemon=True
                )
                self._renewer.start()

    def drop(self, held: HeldHere) -> None:
        """Renew a lock no longer."""
        with self._changed:
            self._held.remove(held)
            self._changed.notify_all()

    def _run(self) -> None:
        while renewable := self._wait():
            by_client = defaultdict(list)
            for each in renewable:
                by_client[each.client].append(each)
            for client, held in by_client.items():
                try:
                    renew(client, held)
                except CloudException:  # it is repeated; locks that were not renewed become invalid
                    continue

    def _wait(self) -> list[HeldHere]:
        """Return what is to be renewed, after a pause; nothing once there is nothing to renew."""
        until = time.monotonic() + self._renew_s
        with self._changed:
            while any(each.held_s for each in self._held):
                left_s = until - time.monotonic()
                if left_s <= 0:
                    return [each for each in self._held if each.held_s]
                self._changed.wait(left_s)
            self._renewer = None
            return []


def renew(client: LockClient, held: Iterable[HeldHere]) -> None:
    """Renew locks, and note which of them are lost."""
    listed = [*held]
    sent_at = time.monotonic()
    lost = client.renew([HeldLock(each.name, each.hold) for each in listed])
    for position, each in enumerate(listed):
        if position in lost:
            each.lose()
        else:
            each.renewed(sent_at)


HELD: Final = HeldLocks()
