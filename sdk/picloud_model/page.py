"""The page: the states of up to 1,000 jobs of one batch, one column per field.

With columns instead of objects, 100,000 queued jobs take a few megabytes, a copy is a handful of
memory moves, and a search for the next queued job runs in C. At most 37 bytes per job.
"""

from __future__ import annotations

from array import array
from typing import Final, Self

import msgspec

from picloud_model.job import FINAL, UNDER_LEASE, Cause, State, Status, may_move

PAGE_JOBS: Final = 1000
"""Maximum number of jobs in a page."""

_COLUMNS: Final = {
    "attempt": "H",
    "losses": "B",
    "flags": "B",
    "cause": "B",
    "slot": "Q",
    "started": "d",
    "finished": "d",
    "pack": "I",
    "item": "H",
    "spared": "B",
}
_ITEM_BYTES: Final = tuple((name, array(code).itemsize) for name, code in _COLUMNS.items())
_FINAL_BYTES: Final = bytes(FINAL)
_SHOWN: Final = tuple(state.shown for state in State)
"""The status that a user sees, by the number of a state: a reply has thousands of them."""


def pages_for(jobs: int) -> int:
    """Return how many pages a number of jobs fills.

    >>> pages_for(1), pages_for(1000), pages_for(1001)
    (1, 1, 2)
    """
    return -(-jobs // PAGE_JOBS)


def fresh_pages(jobs: int, state: State) -> list[Page]:
    """Return the pages of a batch whose jobs all begin in one state.

    All full ones are one object: a stored page is not modified.

    >>> [len(page) for page in fresh_pages(2001, State.QUEUED)]
    [1000, 1000, 1]
    """
    full, rest = divmod(jobs, PAGE_JOBS)
    pages = [Page.fresh(PAGE_JOBS, state)] * full if full else []
    return [*pages, Page.fresh(rest, state)] if rest else pages


class Flag:
    """Marks on a job, one bit each.

    They are plain integers: `&` of an enumeration takes longer than everything else that a report
    does to a page.
    """

    KILL_REQUESTED: Final = 1
    """Its user killed it while a slot held it."""
    SPILLED: Final = 2
    """Its result is a blob; the parcel in the pack is the blob's reference."""
    INFORMED: Final = 4
    """It has an info: the last parcel of its result pack holds it, or says where it is."""
    DELETED: Final = 8
    """Its user deleted it; only the numbers in this page stay."""
    BEGUN: Final = 16
    """Its slot has reported that the current attempt runs, or is about to."""
    QUIET: Final = 64
    """Its slot has reported that it wrote nothing to stdout, stderr or its log."""
    RETRIED: Final = 32
    """It was queued again after its process was killed from outside; the next time it fails."""
    OVER_BUDGET: Final = 128
    """It was killed because a budget was reached, not by its user."""


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    jobs: int
    packs: int
    state: bytes
    columns: list[bytes]


class Page:
    """The states of jobs `0 .. len-1` of a page; `packs` counts the result packs written for it.

    Pages are copied before they are changed: a page in the view is never modified.

    >>> page = Page.fresh(3)
    >>> page.move(1, State.LEASED)
    >>> page.shown(1).value, page.open
    ('queued', 3)
    """

    __slots__ = ("packs", "state", *_COLUMNS)

    state: bytearray
    attempt: array[int]
    losses: array[int]
    flags: array[int]
    cause: array[int]
    slot: array[int]
    started: array[float]
    finished: array[float]
    pack: array[int]
    item: array[int]
    spared: array[int]
    packs: int

    @classmethod
    def fresh(cls, jobs: int, state: State = State.QUEUED) -> Self:
        """Return a page of jobs that all begin in one state."""
        page = cls()
        page.packs = 0
        page.state = bytearray([state]) * jobs
        for name, code in _COLUMNS.items():
            setattr(page, name, array(code, [0]) * jobs)
        return page

    def __len__(self) -> int:
        return len(self.state)

    def copy(self) -> Self:
        """Return an independent copy."""
        twin = type(self)()
        twin.packs = self.packs
        twin.state = bytearray(self.state)
        for name in _COLUMNS:
            setattr(twin, name, getattr(self, name)[:])
        return twin

    def encode(self) -> bytes:
        """Return the page as stored.

        A column of zeros takes no room, and one of equal values that of a single value: a map that
        waits or was killed takes a hundred bytes for a thousand jobs.

        >>> page = Page.fresh(1000)
        >>> page.fill(0, 1000, State.KILLED, finished=7.0)
        >>> len(page.encode())
        37
        """
        return msgspec.msgpack.encode(
            _Stored(
                len(self.state),
                self.packs,
                _shortened(bytes(self.state), 1),
                [_shortened(getattr(self, name).tobytes(), size) for name, size in _ITEM_BYTES],
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the page that `encode` wrote; columns that it did not know yet are zeros.

        >>> Page.decode(Page.fresh(2).encode()).shown(0).value
        'queued'
        """
        stored = _DECODER.decode(data)
        page = cls()
        page.packs = stored.packs
        state = bytearray(stored.state or b"\0")
        page.state = state if len(state) == stored.jobs else state * stored.jobs
        columns = [*stored.columns, *[b""] * (len(_COLUMNS) - len(stored.columns))]
        for (name, code), column in zip(_COLUMNS.items(), columns, strict=True):
            values = array(code, column) if column else array(code, [0])
            setattr(page, name, values if len(values) == stored.jobs else values * stored.jobs)
        return page

    def move(self, index: int, after: State, cause: Cause = Cause.NONE) -> None:
        """Move a job along the transition table.

        Raises:
            ValueError: When the table has no such move: an error of the caller.
        """
        before = State(self.state[index])
        if not may_move(before, after):
            raise ValueError(f"job {index} cannot move from {before.name} to {after.name}")
        self.state[index] = after
        self.cause[index] = cause

    def fill(self, first: int, stop: int, state: State, **columns: float) -> None:
        """Set the states, and values in other columns, of jobs `first .. stop-1` at once.

        The caller has checked the moves.

        >>> page = Page.fresh(3)
        >>> page.fill(1, 3, State.KILLED, finished=7.0)
        >>> page.open, list(page.finished)
        (1, [0.0, 7.0, 7.0])
        """
        count = stop - first
        self.state[first:stop] = bytes([state]) * count
        for name, value in columns.items():
            column = getattr(self, name)
            column[first:stop] = array(column.typecode, [value]) * count

    def shown(self, index: int) -> Status:
        """Return the status that a user sees."""
        return _SHOWN[self.state[index]]

    def ended(self, index: int) -> bool:
        """Whether a job is final."""
        return State(self.state[index]).final

    def runtime_s(self, index: int, now: float) -> float | None:
        """Return how long a job ran, or has run so far; None if it never began.

        >>> page = Page.fresh(2, State.DONE)
        >>> page.fill(0, 1, State.DONE, started=5.0, finished=7.5)
        >>> page.runtime_s(0, 9.0), page.runtime_s(1, 9.0)
        (2.5, None)
        """
        started, finished = self.started[index], self.finished[index]
        if not started or not (finished or self.state[index] in UNDER_LEASE):
            return None
        return max(0.0, (finished or now) - started)

    def runtime_ms(self, index: int, now: float) -> int:
        """Return the same in whole milliseconds, as it is charged."""
        return round((self.runtime_s(index, now) or 0.0) * 1000)

    @property
    def open(self) -> int:
        """How many jobs are not final."""
        return len(self.state) - sum(map(self.state.count, _FINAL_BYTES))

    @property
    def leased(self) -> int:
        """How many jobs are held by a slot."""
        return sum(self.state.count(state) for state in UNDER_LEASE)


def _shortened(column: bytes, item_bytes: int) -> bytes:
    """Return a column as stored: empty if all is zero, one item if all are equal.

    >>> _shortened(bytes(4), 2), _shortened(b"abab", 2), _shortened(b"abba", 2)
    (b'', b'ab', b'abba')
    """
    # Not `count(0)`, which takes 30 us for 8,000 zeros, where this takes 0.3.
    if column == bytes(len(column)):
        return b""
    item = column[:item_bytes]
    # Most columns that differ do so in the last item.
    if column[-item_bytes:] != item or len(column) == item_bytes:
        return column
    return item if column == item * (len(column) // item_bytes) else column


_DECODER: Final = msgspec.msgpack.Decoder(_Stored)
