"""Watching jobs while a program waits for them, in a thread: it never delays or breaks the wait."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final

from cloud._display.bar import Progress
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from cloud._display.bar import Bar
    from cloud._display.output import JobOutput

QUIET_S: Final = 1.0
"""A wait that is over sooner shows no bar."""
TICK_S: Final = 0.5
COUNT_S: Final = 2.0
"""How often the bar moves, and how often counts are requested."""
_SHARE: Final = 0.02
"""Most of the time that is spent in requests for counts and output."""


class WaitDisplay:
    """Shows a progress bar and the output of jobs until the wait for them is over.

    Args:
        total: How many jobs there are.
        count: Returns the jobs by status, as far as that is known.
        bar: Shows how far the wait is, if it is to be shown.
        output: Prints what jobs write, if it is to be printed.
    """

    def __init__(
        self,
        total: int,
        count: Callable[[], Mapping[str, int]],
        *,
        bar: Bar | None,
        output: JobOutput | None,
    ) -> None:
        self._total = total
        self._count = count
        self._bar = bar
        self._output = output
        self._ended = 0
        self._first: tuple[float, int] | None = None
        self._stop = Event()
        self._lock = Lock()
        self._started = time.monotonic()

    def __enter__(self) -> Callable[[int, int], None]:
        """Begin, or begin again; return what is to be called with the number of ended jobs."""
        self._stop = Event()
        Thread(target=self._run, args=(self._stop,), name="picloud-watch", daemon=True).start()
        return self._moved

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        with self._lock:  # the thread may wait for the server; afterwards it shows nothing
            self._stop.set()
            if self._bar is not None:
                self._bar.hide()
        if self._output is not None and not isinstance(error, KeyboardInterrupt):
            with suppress(CloudException):
                self._output.finish()

    def _moved(self, ended: int, _: int) -> None:
        self._ended = ended
        if self._first is None:  # what had ended before the wait says nothing about the speed
            self._first = time.monotonic(), ended

    def _run(self, stop: Event) -> None:
        statuses: Mapping[str, int] = {}
        ask_at = self._started + (TICK_S if self._output is not None else QUIET_S)
        while not stop.wait(TICK_S):
            now = time.monotonic()
            if now >= ask_at:
                with suppress(CloudException):  # the wait itself says what is missing
                    self._print_new()
                    statuses = self._count() if self._bar is not None else statuses
                took_s = time.monotonic() - now
                every_s = COUNT_S if self._output is None else TICK_S
                ask_at = now + max(every_s, took_s / _SHARE)
            with self._lock:
                late = now - self._started >= QUIET_S and not stop.is_set()
                if self._bar is not None and late:
                    self._bar.show(self._progress(statuses))

    def _print_new(self) -> None:
        if self._output is not None:
            with self._lock:
                if self._bar is not None:
                    self._bar.hide()
            self._output.print_new()

    def _progress(self, statuses: Mapping[str, int]) -> Progress:
        now, left_s = time.monotonic(), None
        if self._first is not None:
            began, before = self._first
            moved = self._ended - before
            if moved and now > began:
                left_s = (self._total - self._ended) * (now - began) / moved
        return Progress(
            ended=self._ended,
            total=self._total,
            statuses=statuses,
            elapsed_s=now - self._started,
            left_s=left_s,
        )
