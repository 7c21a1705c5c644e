"""Results one by one, while a map still runs: only a few megabytes of them are held at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from picloud_model import ranges, wire
from picloud_model.job import Status

from cloud._jobs.jids import portions, without
from cloud.errors import CloudTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.ranges import Range
    from picloud_model.wire import Outcome

    from cloud._jobs.wait import Waiter, WaitOptions

AHEAD: Final = 1000
"""Jobs asked for at once: the one that is next, and those behind it."""
HELD_BYTES: Final = 8 * 1024 * 1024
"""Results held ahead of their turn, beyond which only the next one is asked for."""
IN_PARALLEL: Final = 10
"""Large results fetched at once by default."""
MOST_IN_PARALLEL: Final = 64
"""Large results fetched at once where `num_in_parallel` is 0."""


class Results(Iterator[Any]):
    """Results of jobs that were asked for and not handed out yet; what orders them is added.

    Args:
        order: The jobs, in the order asked.
        wait: What asks the server.
        wish: How long to wait for each result, and whether errors count.
        in_parallel: How many large results are fetched at once.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        order: Sequence[int],
        wait: Waiter,
        wish: WaitOptions,
        in_parallel: int,
        clock: Callable[[], float],
    ) -> None:
        self._wait = wait
        self._wish = wish
        self._in_parallel = in_parallel
        self._clock = clock
        self._held: dict[int, tuple[Outcome, Envelope]] = {}
        self._fetched: dict[int, bytes] = {}
        self._bytes = 0
        self._begin(order)

    @abstractmethod
    def _begin(self, order: Sequence[int]) -> None:
        """Take note of the jobs that were asked for."""

    def _await(self, come: Callable[[], bool], jid: int) -> None:
        """Ask until something has come; `jid` is one that is waited for.

        Raises:
            CloudTimeoutError: When the time is over first; then nothing was handed out.
        """
        until = None if self._wish.timeout_s is None else self._clock() + self._wish.timeout_s
        while not come():
            left = wire.LONGEST_POLL_S if until is None else max(0.0, until - self._clock())
            answer = self._wait.outcomes(self._wanted(), min(left, wire.LONGEST_POLL_S), self._wish)
            for outcome in answer.outcomes:
                self._held[outcome.jid] = outcome, self._wait.envelope(answer, outcome)
                self._bytes += len(outcome.payload or b"")
            if not left and not come():
                raise CloudTimeoutError(f"unfinished after {self._wish.timeout_s:g} s", jid)

    @abstractmethod
    def _wanted(self) -> list[Range]:
        """The jobs to ask for."""

    @abstractmethod
    def _next(self) -> Iterable[int]:
        """The jobs that are next, as far as they matter."""

    def _drop(self, jid: int) -> tuple[Outcome, Envelope]:
        """Hold no more of a job."""
        outcome, envelope = self._held.pop(jid)
        self._bytes -= len(outcome.payload or b"")
        return outcome, envelope

    def _told(self, jid: int) -> Any:
        """What a job ended with, of which no more is held afterwards."""
        outcome, _ = self._held[jid]
        if outcome.blob is not None and jid not in self._fetched and self._wish.needs(outcome):
            self._fetch(jid)
        _, envelope = self._drop(jid)
        payload = self._fetched.pop(jid, outcome.payload)
        return self._wait.value(outcome, payload, envelope, self._wish)

    def _fetch(self, jid: int) -> None:
        """Fetch a large result, and those that are next where they are there as well."""
        near = [each for each in self._next() if each in self._held][: self._in_parallel]
        named = {jid: self._held[jid][0], **{each: self._held[each][0] for each in near}}
        large = {
            each: outcome.blob
            for each, outcome in named.items()
            if outcome.blob is not None and each not in self._fetched
        }
        self._fetched.update(zip(large, self._wait.fetch(jid, list(large.values())), strict=False))


class Ordered(Results):
    """In the order asked. After an error `next` goes on behind that job."""

    def _begin(self, order: Sequence[int]) -> None:
        self._order = order
        self._at = 0

    def __next__(self) -> Any:
        if self._at == len(self._order):
            raise StopIteration
        jid = self._order[self._at]
        self._await(lambda: jid in self._held, jid)
        self._at += 1
        return self._told(jid)

    def _wanted(self) -> list[Range]:
        # With much at hand only the next one: the others would have to be held until its turn.
        stop = self._at + (AHEAD if self._bytes < HELD_BYTES else 1)
        window = self._order[self._at : stop]
        return ranges.collapse(jid for jid in window if jid not in self._held)

    def _next(self) -> Iterable[int]:
        return self._order[self._at : self._at + self._in_parallel]


class Unordered(Results):
    """Pairs of jid and result, in the order in which jobs end; failed jobs are left out."""

    def _begin(self, order: Sequence[int]) -> None:
        self._open = ranges.collapse(order)

    def __next__(self) -> tuple[int, Any]:
        while True:
            if not self._held:
                if not self._open:
                    raise StopIteration
                self._await(lambda: bool(self._held), self._open[0][0])
                self._open = without(self._open, self._held)
            jid = next(iter(self._held))
            if self._held[jid][0].status == Status.DONE:
                return jid, self._told(jid)
            self._drop(jid)

    def _wanted(self) -> list[Range]:
        return next(portions(self._open))

    def _next(self) -> Iterable[int]:
        return self._held
