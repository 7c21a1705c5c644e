"""Messages that a job of a handler has taken, and that none of its readers has begun with.

A thread takes messages while the readers handle earlier ones. It takes as many as the readers
handle in a quarter of a second; of a handler that takes longer than that for one message, it takes
messages only for readers that wait, as another job may be faster.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from picloud_model.wire.queue import MAX_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.wire.queue import TakenMessage

WORK_S: Final = 0.25
"""How much work is taken for each reader at once, in seconds."""
MOST: Final = 400
"""Most messages that are taken for each reader at once."""
_FASTER: Final = 4
"""How many times more messages are taken once it is known how fast the first were handled."""


class IntakeEnded(Exception):
    """No more messages are to be taken."""


class Intake:
    """What the readers of a job share.

    Args:
        take: Takes up to so many messages; waits for the first, and returns none after a while.
            Raises `IntakeEnded` if no more are to be taken.
        readers: How many readers there are.

    >>> waiting = [["first", "second"], []]
    >>> intake = Intake(lambda most: waiting.pop(0), readers=1)
    >>> taker = threading.Thread(target=intake.run)
    >>> taker.start()
    >>> intake.wait(), intake.next(), intake.wait()
    ('first', 'second', None)
    >>> taker.join()
    """

    def __init__(self, take: Callable[[int], Sequence[TakenMessage]], readers: int) -> None:
        self._take = take
        self._readers = readers
        self._ready: deque[TakenMessage] = deque()
        self._changed = threading.Condition()
        self._share = 1
        """How many messages are taken for each reader."""
        self._idle = 0
        """How many readers wait for a message."""
        self._waits = False
        """Whether enough messages are there, so that no more are taken now."""
        self._is_over = False
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Take messages until there are none, or `end` is called; a thread does this."""
        while most := self._wanted():
            try:
                taken = self._take(most)
            except BaseException as error:  # noqa: BLE001 - the readers raise it
                self._failure = None if isinstance(error, IntakeEnded) else error
                self.end()
                return
            with self._changed:
                self._ready += taken
                if not taken and self._idle == self._readers:
                    self._is_over = True
                self._changed.notify_all()

    def next(self) -> TakenMessage | None:
        """Return a message; None if there is none now."""
        try:
            message = self._ready.popleft()
        except IndexError:
            return None
        if self._waits and len(self._ready) <= self._low:
            with self._changed:
                self._changed.notify_all()
        return message

    def wait(self) -> TakenMessage | None:
        """Return a message; wait until there is one, and return None if none will come.

        Raises:
            BaseException: What the taking of messages has raised.
        """
        with self._changed:
            self._idle += 1
            self._changed.notify_all()
            while not self._ready and not self._is_over:
                self._changed.wait()
            self._idle -= 1
            if self._ready:
                return self._ready.popleft()
        if self._failure is not None:
            raise self._failure
        return None

    def note_pace(self, mean_s: float) -> None:
        """Take as many messages at once as suits handlers that take so long for one, on average."""
        fitting = int(WORK_S / max(mean_s, 1e-6))
        with self._changed:
            self._share = max(1, min(MOST, _FASTER * self._share, fitting))
            self._changed.notify_all()

    def end(self) -> None:
        """Take no more messages; those that were taken are still returned."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    @property
    def _low(self) -> int:
        """How many messages are left when more are taken."""
        return self._readers * self._share // 2

    def _wanted(self) -> int:
        """Wait until messages are to be taken; return how many, 0 when no more are."""
        with self._changed:
            while not self._is_over:
                ready = len(self._ready)
                if self._share > 1 and ready <= self._low:
                    return min(MAX_MESSAGES, self._readers * self._share)
                if self._share == 1 and ready < self._idle:
                    return min(MAX_MESSAGES, self._idle - ready)
                self._waits = True
                self._changed.wait()
                self._waits = False
        return 0
