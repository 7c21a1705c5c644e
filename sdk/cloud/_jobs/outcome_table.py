"""The outcomes of the jobs that a call waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model import ranges

from cloud._arguments.jids import without

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.ranges import Range

    from cloud.errors import CloudException

_OPEN: Final = 0
_DONE: Final = 1
_FAILED: Final = 2


class OutcomeTable:
    """Which jobs have ended, and with what; rows are in the order of the jids asked for.

    >>> table = OutcomeTable([3, 1, 2])
    >>> table.open
    [(1, 3)]
    >>> table.add_result(1, "one"), table.add_result(3, "three"), table.close([1, 3])
    (None, None, None)
    >>> table.open, table.values
    ([(2, 2)], ['three', 'one', None])
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order
        self._rows = None if isinstance(order, range) else {j: i for i, j in enumerate(order)}
        self._states = bytearray(len(order))
        self._first_failed = len(order)
        self._failure: CloudException | None = None
        self.values: list[Any] = [None] * len(order)
        self.open: list[Range] = ranges.collapse(order)

    def add_result(self, jid: int, value: Any) -> None:
        """Record the result of a job."""
        row = self._row(jid)
        self._states[row] = _DONE
        self.values[row] = value

    def add_failure(self, jid: int, make_error: Callable[[], CloudException]) -> None:
        """Record that a job failed; `make_error` is called if no job before it has failed."""
        row = self._row(jid)
        self._states[row] = _FAILED
        if row < self._first_failed:
            self._first_failed, self._failure = row, make_error()

    def close(self, jids: Sequence[int]) -> None:
        """Stop waiting for these jobs."""
        self.open = without(self.open, jids)

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return len(self._states) - self._states.count(_OPEN)

    def failure(self) -> CloudException | None:
        """Return the error of the first failed job once all jobs before it have ended."""
        is_first = not -1 < self._states.find(_OPEN) < self._first_failed
        return self._failure if is_first else None

    def _row(self, jid: int) -> int:
        return jid - self._order[0] if self._rows is None else self._rows[jid]
