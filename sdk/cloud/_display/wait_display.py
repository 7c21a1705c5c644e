"""Watching jobs while a program waits for them, in a thread: it never delays or breaks the wait."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

from picloud_model.job import ENDED

from cloud._display.bar import Progress
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from picloud_model.wire import Outcome

    from cloud._display.bar import Bar
    from cloud._display.output import JobOutput

    OnProgress = Callable[[int, int, Sequence[Outcome]], None]

QUIET_S: Final = 1.0
"""A wait that is over sooner shows no bar."""
TICK_S: Final = 0.25
"""How often the bar is drawn if there is output, too, which is requested if it is due."""
DRAW_S: Final = 0.5
"""How often a bar without output is drawn at first."""
SLOWEST_TICK_S: Final = 1.0
TICK_SHARE: Final = 1 / 40
"""After this share of the wait the bar is drawn, and jobs are counted, again: a long wait costs
few drawings and requests.
"""
OUTPUT_S: Final = 0.5
COUNT_S: Final = 1.0
"""How often output and counts are requested."""
OUTPUT_SHARE: Final = 0.1
COUNT_SHARE: Final = 0.05
"""Most of the time that is spent in requests for output and for counts.

Nearly all of a request for counts is waiting. With a share of 1 % a bar showed counts of seven
seconds ago where a busy server took 70 ms, and maps that ended sooner were "queued" to the end.
"""
_IDLE_S: Final = 2.0
"""How long the thread of an iteration lives on while the program does something else."""


def _in_thread(function: Callable[[], None]) -> None:
    Thread(target=function, name="picloud-watch", daemon=True).start()


class WaitDisplay:
    """Shows a progress bar and the output of jobs during one wait for them, or several.

    The time before the bar is shown counts from the first wait on, so that an iteration of many
    short waits has one, too. Between waits the bar makes way for what the program prints.

    Args:
        total: How many jobs there are.
        count: Returns the jobs by status, as far as that is known.
        bar: Shows how far the wait is, if it is to be shown.
        output: Prints what jobs write, if it is to be printed.
        clock: Monotonic seconds.
        start: Calls a function in a thread.
    """

    def __init__(
        self,
        total: int,
        count: Callable[[], Mapping[str, int]],
        *,
        bar: Bar | None,
        output: JobOutput | None,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = _in_thread,
    ) -> None:
        self._total = total
        self._count = count
        self._bar = bar
        self._output = output
        self._clock = clock
        self._start = start
        self._ended = 0
        self._statuses: Mapping[str, int] = {}
        self._started = 0.0
        self._first: tuple[float, int] | None = None
        self._output_at = 0.0
        self._count_at = 0.0
        self._waiting = False
        self._waits = 0
        self._idle_since = 0.0
        self._over: Event | None = None
        self._lock = Lock()

    def __enter__(self) -> OnProgress:
        """Begin a wait; return what is to be called after each reply."""
        with self._lock:
            self._waiting = True
            self._waits += 1
            if not self._started:
                self._started = self._clock()
                self._output_at = self._started + OUTPUT_S
                self._count_at = self._started + QUIET_S
            if self._over is None:
                self._over = Event()
                self._start(partial(self._run, self._over))
        return self._moved

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        with self._lock:  # the thread may wait for the server; afterwards it shows nothing
            self._waiting = False
            self._idle_since = self._clock()
            if self._bar is not None:
                self._bar.pause()
        if self._output is not None and not isinstance(error, KeyboardInterrupt):
            with suppress(CloudException):
                self._output.finish()

    def close(self) -> None:
        """Leave no trace of the bar, and end the thread."""
        with self._lock:
            self._end()
            if self._bar is not None:
                self._bar.hide()

    def _moved(self, ended: int, _: int, outcomes: Sequence[Outcome]) -> None:
        self._ended = ended
        if self._output is not None:
            self._output.leave_out(each.jid for each in outcomes if not each.printed)
        if self._first is None:  # what had ended before the wait says nothing about the speed
            self._first = self._clock(), ended

    def _end(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None

    def _run(self, over: Event) -> None:
        while not over.wait(self.tick_s()):
            self.look()

    def tick_s(self) -> float:
        """Return the seconds until the next look.

        Output is printed soon also in a long wait, and between the items of an iteration the bar
        is erased each time.
        """
        if self._output is not None or self._waits > 1:
            return TICK_S
        return min(SLOWEST_TICK_S, max(DRAW_S, (self._clock() - self._started) * TICK_SHARE))

    def look(self) -> None:
        """Request and draw what is due by now."""
        now = self._clock()
        if self._waiting:
            self._request(now)
        with self._lock:
            if not self._waiting:
                if now - self._idle_since >= _IDLE_S:
                    self._end()
            elif self._bar is not None and now - self._started >= QUIET_S:
                self._bar.show(self._progress())

    def _request(self, now: float) -> None:
        """Request output and counts that are due, and decide when to request them again."""
        if self._output is not None and now >= self._output_at:
            self._print_new(self._output)
            took_s = self._clock() - now
            self._output_at = now + max(OUTPUT_S, took_s / OUTPUT_SHARE)
        now = self._clock()
        if self._bar is not None and now >= self._count_at:
            with suppress(CloudException):  # the wait itself says what is missing
                self._statuses = self._count()
            took_s = self._clock() - now
            rest_s = max(COUNT_S, took_s / COUNT_SHARE, (now - self._started) * TICK_SHARE)
            self._count_at = now + rest_s

    def _print_new(self, output: JobOutput) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.pause()
        with suppress(CloudException):
            output.print_new()

    def _progress(self) -> Progress:
        now, left_s = self._clock(), None
        # The counts may be newer than what the wait has received, or older.
        counted = sum(self._statuses.get(status, 0) for status in ENDED)
        ended = max(self._ended, counted)
        if self._first is not None:
            began, before = self._first
            moved = ended - before
            if moved > 0 and now > began:
                left_s = (self._total - ended) * (now - began) / moved
        return Progress(
            ended=ended,
            total=self._total,
            statuses=self._statuses,
            elapsed_s=now - self._started,
            left_s=left_s,
        )
