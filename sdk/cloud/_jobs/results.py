"""Iterating over results while jobs still run; only a few megabytes are held in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from picloud_model import ranges
from picloud_model.job import Status

from cloud._arguments.jids import portions, without
from cloud._arguments.option_values import whole
from cloud.errors import (
    CloudConnectionError,
    CloudException,
    CloudTimeoutError,
    CloudTypeError,
    CloudValueError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.ranges import Range
    from picloud_model.wire import Outcome

    from cloud._display.show import WaitWatch
    from cloud._display.wait_display import OnProgress
    from cloud._jobs.wait import Waiter, WaitOptions

AHEAD: Final = 1000
"""Jobs in one request: the next one, and those after it."""
HELD_BYTES: Final = 8 * 1024 * 1024
"""Size of results held before their turn from which on only the next one is requested."""
IN_PARALLEL: Final = 10
"""Large results fetched ahead by default."""
MOST_IN_PARALLEL: Final = 64
"""Large results fetched ahead if `num_in_parallel` is 0."""


def read_in_parallel(number: Any) -> int:
    """Return how many large results are fetched ahead, as a user gives that.

    >>> read_in_parallel(5), read_in_parallel(0)
    (5, 64)
    """
    in_parallel = whole(number)
    if in_parallel is None:
        raise CloudTypeError(f"num_in_parallel must be a number, not {number!r}.")
    if in_parallel < 0:
        raise CloudValueError(f"num_in_parallel must be at least 0, not {number}.")
    return in_parallel or MOST_IN_PARALLEL


class ResultIterator(Iterator[Any]):
    """The outcomes that have arrived and have not been returned; a subclass orders them.

    Args:
        order: The jids in the order of the user.
        waiter: Asks the server.
        options: How long to wait for each result, and what to do about errors.
        in_parallel: How many large results are fetched ahead.
        watch: Receives how many results have arrived while they are waited for.
        overall: Whether the timeout is for all results together.
    """

    def __init__(
        self,
        order: Sequence[int],
        waiter: Waiter,
        options: WaitOptions,
        in_parallel: int,
        *,
        watch: WaitWatch,
        overall: bool = False,
    ) -> None:
        self._waiter = waiter
        self._patience = waiter.patience()
        self._options = options
        self._deadline = self._patience.deadline(options.timeout_s) if overall else None
        self._in_parallel = in_parallel
        self._held: dict[int, tuple[Outcome, Envelope]] = {}
        self._fetched: dict[int, bytes] = {}
        self._held_bytes = 0
        self._watch = watch
        self._arrived, self._total = 0, len(order)
        self._begin(order)

    @abstractmethod
    def _begin(self, order: Sequence[int]) -> None:
        """Prepare to iterate over these jobs."""

    @abstractmethod
    def _requested(self) -> list[Range]:
        """Return the jobs to ask the server about."""

    @abstractmethod
    def _unfinished(self) -> list[Range]:
        """Return the jobs that are not known to have ended; never none during a wait."""

    @abstractmethod
    def _upcoming(self) -> Iterable[int]:
        """Return the jobs whose results are returned next, as far ahead as results are fetched."""

    def within(self, timeout_s: float | None) -> Any:
        """Return the next result; wait for it at most this long, None for no limit.

        Raises:
            CloudTimeoutError: When the timeout is reached; the next call waits again.
            StopIteration: When there is none.
        """
        self._options = replace(self._options, timeout_s=timeout_s)
        return next(self)

    def _wait(self, is_ready: Callable[[], bool], jid: int) -> None:
        """Receive outcomes until `is_ready`, which is not so yet; `jid` is a job it waits for.

        Raises:
            CloudTimeoutError: When the timeout is reached first; the next call waits again.
            KeyboardInterrupt: When the user stops the wait; the next call waits again.
        """
        try:
            with self._watch as on_progress:
                self._receive(is_ready, jid, on_progress)
        except KeyboardInterrupt:
            open_ = self._unfinished()
            (first, last), *others = open_
            order = list(ranges.expand(open_)) if others else range(first, last + 1)
            raise self._waiter.interrupted(order, open_) from None

    def _receive(
        self, is_ready: Callable[[], bool], jid: int, on_progress: OnProgress | None
    ) -> None:
        timeout_s = self._options.timeout_s

        def attempt(hold_s: float) -> bool:
            answer = self._waiter.outcomes(self._requested(), hold_s, self._options)
            for outcome in answer.outcomes:
                self._held[outcome.jid] = outcome, self._waiter.envelope(answer, outcome)
                self._held_bytes += len(outcome.payload or b"")
            self._arrived += len(answer.outcomes)
            if on_progress is not None:
                on_progress(self._arrived, self._total, answer.outcomes)
            return is_ready()

        def expired() -> CloudTimeoutError:
            return CloudTimeoutError(f"unfinished after {timeout_s:g} s", jid)

        deadline = self._deadline or self._patience.deadline(timeout_s)
        self._patience.until(attempt, deadline, expired)

    def _drop(self, jid: int) -> None:
        """Remove the outcome of a job from those held."""
        payload = self._held.pop(jid)[0].payload
        if payload is not None:
            self._held_bytes -= len(payload)

    def _value(self, jid: int) -> Any:
        """Return the result of a job, whose outcome is no longer held afterwards."""
        outcome, envelope = self._held[jid]
        payload = outcome.payload
        if outcome.blob is not None and self._options.needs(outcome):
            if jid not in self._fetched:
                self._fetch(jid)
            payload = self._fetched.pop(jid)
        self._drop(jid)
        return self._waiter.value(outcome, payload, envelope, self._options)

    def _fetch(self, jid: int) -> None:
        """Fetch a large result, together with large results that are returned soon."""
        soon = islice((each for each in self._upcoming() if each in self._held), self._in_parallel)
        outcomes = {jid: self._held[jid][0], **{each: self._held[each][0] for each in soon}}
        large = {
            each: outcome.blob
            for each, outcome in outcomes.items()
            if outcome.blob is not None and each not in self._fetched
        }
        while jid not in self._fetched:
            try:
                blobs = self._waiter.fetch(jid, list(large.values()))
                self._fetched.update(zip(large, blobs, strict=False))
            except CloudConnectionError as error:
                self._patience.bear(error)
        self._patience.recovered()


class OrderedResults(ResultIterator):
    """Results in the order of the jids. After an error `next` goes on with the following job."""

    def _begin(self, order: Sequence[int]) -> None:
        self._order = order
        self._next = 0

    def __next__(self) -> Any:
        if self._next == len(self._order):
            self._watch.close()
            raise StopIteration
        jid = self._order[self._next]
        if jid not in self._held:
            self._wait(lambda: jid in self._held, jid)
        self._next += 1
        return self._value(jid)

    def _requested(self) -> list[Range]:
        # If much is held already only the next job: results of others would have to be held, too.
        stop = self._next + (AHEAD if self._held_bytes < HELD_BYTES else 1)
        window = self._order[self._next : stop]
        return ranges.collapse(jid for jid in window if jid not in self._held)

    def _unfinished(self) -> list[Range]:
        return ranges.collapse(jid for jid in self._order[self._next :] if jid not in self._held)

    def _upcoming(self) -> Iterable[int]:
        return self._order[self._next : self._next + self._in_parallel]


class _AsTheyEnd(ResultIterator):
    """The outcomes of jobs in the order in which they end."""

    def _begin(self, order: Sequence[int]) -> None:
        self._open = ranges.collapse(order)
        # To look for the first key of a dict costs more, the more were removed before it.
        self._ready: deque[int] = deque()

    @property
    def has_arrived(self) -> bool:
        """Whether the next one needs no waiting."""
        return bool(self._held) or not self._open

    def _ended(self) -> int:
        """Return a job whose outcome is held; wait for one if there is none."""
        if not self._ready:
            if not self._open:
                self._watch.close()
                raise StopIteration
            self._wait(lambda: bool(self._held), self._open[0][0])
            self._ready.extend(self._held)
            self._open = without(self._open, self._ready)
        return self._ready[0]

    def _drop(self, jid: int) -> None:
        self._ready.popleft()
        super()._drop(jid)

    def _requested(self) -> list[Range]:
        return next(portions(self._open))

    def _unfinished(self) -> list[Range]:
        return self._open

    def _upcoming(self) -> Iterable[int]:
        return self._ready


class UnorderedResults(_AsTheyEnd):
    """Pairs of jid and result, in the order in which jobs end; failed jobs are left out."""

    def __next__(self) -> tuple[int, Any]:
        while True:
            jid = self._ended()
            if self._held[jid][0].status == Status.DONE:
                return jid, self._value(jid)
            self._drop(jid)


class ArrivingResults(_AsTheyEnd):
    """Results in the order in which jobs end. After an error `next` goes on with another job."""

    def __next__(self) -> Any:
        return self._value(self._ended())


def iterator_of(*, unordered: bool) -> type[ResultIterator]:
    """Return the iterator over results in the order of the jids, or of the ends of their jobs."""
    return ArrivingResults if unordered else OrderedResults


class EndedJobs(_AsTheyEnd):
    """Triples of jid, result and error, in the order in which jobs end."""

    def __next__(self) -> tuple[int, Any, CloudException | None]:
        jid = self._ended()
        try:
            return jid, self._value(jid), None
        except CloudConnectionError:
            raise
        except CloudException as error:
            return jid, None, error
