"""The requests of one consumer to NATS for messages, one at a time, and what has not arrived."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_driver.nats.gateway import NatsGateway

_PULL_BYTES: Final = 4_000_000
_LATE_S: Final = 2.0
"""How long messages that were sent may take: the end of a pull can be faster."""
_ENDED_EARLIER: Final = "408"
"""The status of a pull that does not wait when an earlier one is about to get messages."""
_UNSENT: Final = "Nats-Pending-Messages"
"""The header that has how many messages of a pull were not sent when it ended."""


class _Pull(msgspec.Struct):
    """A request to the server for messages."""

    number: int
    missing: int
    ends_at: float


class Pulls:
    """What was requested from the server.

    Args:
        gateway: The connection.
        queue: The queue.
        consumer: The name of its consumer.
        inbox: A subject; each pull is answered below it.
    """

    def __init__(self, gateway: NatsGateway, queue: str, consumer: str, inbox: str) -> None:
        self._gateway = gateway
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{queue}.{consumer}"
        self._inbox = inbox
        self._current: _Pull | None = None
        self._unanswered: set[int] = set()
        """Numbers of pulls that do not wait and that no message or status has answered."""
        self._count = self._late = 0
        self._late_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a pull has not ended, and is not overdue."""
        return self._current is not None and time.monotonic() < self._current.ends_at

    @property
    def has_losses(self) -> bool:
        """Whether messages or the end of a pull must have been lost on the way.

        A server that is alone loses nothing unless the connection is lost, too. In a cluster,
        deliveries pass from server to server, and none of these repeats one.
        """
        now = time.monotonic()
        is_overdue = self._current is not None and now >= self._current.ends_at
        return is_overdue or (self._late > 0 and now >= self._late_since + _LATE_S)

    def is_unanswered(self, number: int) -> bool:
        """Whether neither a message nor a status has come since a pull that does not wait."""
        return number in self._unanswered

    def expect_more(self, announced: int) -> bool:
        """Whether messages may arrive soon, of which the server has announced so many."""
        return self._late > 0 or (self._current is not None and announced > 0)

    async def request(self, most: int, within_s: float, waits_s: float = 0.0) -> int:
        """Ask for messages; return the number of the pull.

        Args:
            most: How many.
            within_s: When the pull has ended at the latest, in seconds from now.
            waits_s: How long the server waits for them; 0 to send what it has.
        """
        self._count += 1
        pull = _Pull(self._count, most, time.monotonic() + within_s)
        options: dict[str, Any] = {"expires": int(waits_s * 1e9)}
        if waits_s > 0:
            self._current = pull
        else:
            options = {"no_wait": True}
            self._current = self._current or pull
            self._unanswered.add(pull.number)
        await self._gateway.publish(
            self._subject,
            msgspec.json.encode({"batch": most, "max_bytes": _PULL_BYTES, **options}),
            reply=f"{self._inbox}.{pull.number}",
        )
        return pull.number

    def arrive(self) -> None:
        """Note that a message has arrived."""
        self._unanswered.clear()
        pull = self._current
        if self._late:
            self._late -= 1
        elif pull is not None:
            pull.missing -= 1
            if pull.missing <= 0:
                self._current = None

    def end(self, subject: str, status: str, headers: Mapping[str, str]) -> None:
        """Note that the server has ended a pull.

        Args:
            subject: Names the pull.
            status: Why.
            headers: Say how much of it was not sent.
        """
        number = int(subject.rpartition(".")[2])
        if status != _ENDED_EARLIER:
            self._unanswered.discard(number)
        pull = self._current
        if pull is None or pull.number != number:
            return
        late = pull.missing - int(headers.get(_UNSENT, pull.missing))
        if late > 0:
            self._late, self._late_since = late, time.monotonic()
        self._current = None

    def stop(self, number: int) -> None:
        """Expect nothing more of a pull that does not wait."""
        self._unanswered.discard(number)
        if self._current is not None and self._current.number == number:
            self._current = None
