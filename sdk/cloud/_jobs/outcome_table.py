"""The table of a wait: which jobs have ended, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model import ranges

from cloud._jobs.jids import without

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.ranges import Range

    from cloud.errors import CloudException

_OPEN: Final = 0
_DONE: Final = 1
_FAILED: Final = 2


class OutcomeTable:
    """Who has ended, of jobs that are told of in the order asked.

    >>> table = OutcomeTable([3, 1, 2])
    >>> table.open
    [(1, 3)]
    >>> table.end(1, "one"), table.end(3, "three"), table.settle([1, 3])
    (None, None, None)
    >>> table.open, table.values
    ([(2, 2)], ['three', 'one', None])
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order
        self._places = None if isinstance(order, range) else {j: i for i, j in enumerate(order)}
        self._states = bytearray(len(order))
        self._first = len(order)
        self._failure: CloudException | None = None
        self.values: list[Any] = [None] * len(order)
        self.open: list[Range] = ranges.collapse(order)

    def place(self, jid: int) -> int:
        """Where a job stands in the order."""
        return jid - self._order[0] if self._places is None else self._places[jid]

    def end(self, jid: int, value: Any) -> None:
        """Note a job's result."""
        place = self.place(jid)
        self._states[place] = _DONE
        self.values[place] = value

    def fail(self, jid: int, tell: Callable[[], CloudException]) -> None:
        """Note that a job failed; `tell` makes the error, if it is the first one so far."""
        place = self.place(jid)
        self._states[place] = _FAILED
        if place < self._first:
            self._first, self._failure = place, tell()

    def settle(self, jids: Sequence[int]) -> None:
        """Wait no longer for these."""
        self.open = without(self.open, jids)

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return len(self._states) - self._states.count(_OPEN)

    def verdict(self) -> CloudException | None:
        """The error of the first failed job, once all jobs before it have ended; else None."""
        waits = -1 < self._states.find(_OPEN) < self._first
        return None if waits else self._failure
