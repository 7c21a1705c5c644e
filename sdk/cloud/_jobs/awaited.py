"""Telling event loops and futures when jobs end: a few threads ask for all jobs of a client."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from picloud_model import ranges

from cloud._jobs.wait import WaitOptions
from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Generator

    from picloud_model.wire import Outcome, Outcomes

    from cloud._http.patience import Patience
    from cloud._jobs.wait import Waiter

T = TypeVar("T")
Settle = Callable[[Any, CloudException | None], None]
"""Receives the result of a job, or its error."""

HOLD_S: Final = 1.0
"""How long the server holds a request; a thread asks about new jobs after that."""
MOST_THREADS: Final = 4
"""With this many, a job that is added while all requests are held waits for one to return."""
_GATHER_S: Final = 0.01
"""How long a further thread lets jobs accumulate before it asks: many are added at once."""


def in_loop(start: Callable[[Callable[[T], None]], None]) -> Generator[Any, None, T]:
    """Wait in an event loop for a value that another thread has.

    Args:
        start: Is given a function; once any thread has called that with the value, the wait ends.
    """
    from asyncio import get_running_loop  # noqa: PLC0415 - most programs have no loop

    loop = get_running_loop()
    arrived: Future[T] = loop.create_future()

    def keep(value: T) -> None:
        if not arrived.done():
            arrived.set_result(value)

    def wake(value: T) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(keep, value)

    start(wake)
    return (yield from arrived.__await__())


def in_thread(function: Callable[[], T]) -> Generator[Any, None, T]:
    """Wait in an event loop for what a function returns or raises, which runs in a daemon thread.

    Neither a program nor its loop waits for that thread when it ends or when the wait is cancelled,
    as they would for one of the loop's own threads.
    """

    def start(wake: Callable[[tuple[T | None, BaseException | None]], None]) -> None:
        def run() -> None:
            try:
                wake((function(), None))
            except BaseException as error:  # noqa: BLE001 - it is raised where the wait is
                wake((None, error))

        threading.Thread(target=run, name="cloud awaited request", daemon=True).start()

    value, error = yield from in_loop(start)
    if error is not None:
        raise error
    return cast("T", value)


class InThread(Awaitable[T]):
    """What a function returns or raises that runs in a daemon thread, for `await`."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function

    def __await__(self) -> Generator[Any, None, T]:
        return in_thread(self._function)


class Awaited:
    """Calls a function for each job that ends, from threads of its own.

    The threads end when there is nothing to wait for. They are daemons: a program that ends does
    not wait for its jobs.

    Args:
        waiter: Asks the server.
        hold_s: How long the server may hold a request.
    """

    def __init__(self, waiter: Waiter, hold_s: float = HOLD_S) -> None:
        self._waiter = waiter
        self._hold_s = hold_s
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._fresh: dict[int, list[Settle]] = {}
        self._threads = 0
        self._is_starting = False

    def add(self, jid: int, settle: Settle) -> None:
        """Call `settle` once, with the result or the error of a job, when it ends."""
        if self._pid != os.getpid():
            self._reset()  # a forked child has neither the threads nor the jobs of its parent
        with self._lock:
            self._fresh.setdefault(jid, []).append(settle)
            if self._is_starting or self._threads == MOST_THREADS:
                return
            self._is_starting = True
            gather_s = _GATHER_S if self._threads else 0.0
            self._threads += 1
        threading.Thread(
            target=self._run, args=(gather_s,), name="cloud awaited", daemon=True
        ).start()

    def _run(self, gather_s: float) -> None:
        own: dict[int, list[Settle]] = {}
        patience = self._waiter.patience()
        time.sleep(gather_s)
        with self._lock:
            self._is_starting = False
        while self._take(own):
            try:
                self._poll(own, patience)
            except BaseException as error:  # or those who wait would never learn of it
                known = isinstance(error, CloudException)
                reason = error if known else CloudException(f"Waiting for jobs failed: {error!r}.")
                for jid in list(own):
                    _settle(own, jid, None, reason)  # type: ignore[arg-type]
                if not isinstance(error, Exception):
                    raise

    def _take(self, own: dict[int, list[Settle]]) -> bool:
        """Add new jobs to those of a thread; return False if it has none and ends."""
        with self._lock:
            for jid, settles in self._fresh.items():
                own.setdefault(jid, []).extend(settles)
            self._fresh.clear()
            if not own:
                self._threads -= 1
            return bool(own)

    def _poll(self, own: dict[int, list[Settle]], patience: Patience) -> None:
        try:
            answer = self._waiter.outcomes(ranges.collapse(own), self._hold_s, _OPTIONS)
            for outcome in answer.outcomes:
                value, error = self._read(answer, outcome)
                _settle(own, outcome.jid, value, error)
        except CloudConnectionError as error:
            patience.bear(error)
        else:
            patience.recovered()

    def _read(self, answer: Outcomes, outcome: Outcome) -> tuple[Any, CloudException | None]:
        try:
            payload = outcome.payload
            if outcome.blob is not None:
                payload = next(self._waiter.fetch(outcome.jid, [outcome.blob]))
            envelope = self._waiter.envelope(answer, outcome)
            return self._waiter.value(outcome, payload, envelope, _OPTIONS), None
        except CloudConnectionError:
            raise
        except CloudException as error:
            return None, error


def _settle(
    own: dict[int, list[Settle]], jid: int, value: Any, error: CloudException | None
) -> None:
    for settle in own.pop(jid, ()):
        settle(value, error)


_OPTIONS: Final = WaitOptions()
