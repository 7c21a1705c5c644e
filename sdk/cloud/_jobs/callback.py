"""Calling the user's callbacks in this process when jobs end."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import ranges, wire
from picloud_model.job import Status
from picloud_model.ranges import Range

from cloud._arguments.jids import portions, without
from cloud._arguments.options import CallOptions
from cloud._config.border import frames_below
from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_model.wire import Outcome

    from cloud._http.transport import Transport

HOLD_S: Final = 1.0
"""How long the server holds a request; jobs created meanwhile are in the next one."""


class _WatchedBatch(msgspec.Struct):
    """The jobs of one batch that have not ended, and the options with their callbacks."""

    open: list[Range]
    options: CallOptions


class Callbacks:
    """Waits in one thread for all jobs of a client that have callbacks, and calls these.

    The thread ends when there is nothing to wait for. It is a daemon: a program that ends does not
    wait for its callbacks.

    Args:
        transport: What carries requests.
        hold_s: How long the server may hold a request.
    """

    def __init__(self, transport: Transport, hold_s: float = HOLD_S) -> None:
        self._transport = transport
        self._hold_s = hold_s
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._batches: list[_WatchedBatch] = []
        self._thread: threading.Thread | None = None

    def add(self, jids: range, options: CallOptions) -> None:
        """Call the callbacks with each of these jids when its job ends."""
        if not jids or not (options.callback or options.callback_on_error):
            return
        if self._pid != os.getpid():
            self._reset()  # a forked child has neither the thread nor the jobs of its parent
        with self._changed:
            self._batches.append(_WatchedBatch([(jids[0], jids[-1])], options))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cloud callbacks", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Stop waiting; callbacks of unfinished jobs are not called."""
        if self._pid == os.getpid():
            with self._changed:
                self._batches.clear()
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            while requests := self._requests():
                for portion in requests:
                    self._poll(portion, self._hold_s / len(requests))
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _poll(self, portion: list[Range], hold_s: float) -> None:
        try:
            self._wait(portion, hold_s)
        except CloudConnectionError:
            with self._changed:  # no server can be reached now; no outcome is lost
                self._changed.wait(self._hold_s)
        except CloudException as error:
            sys.stderr.write(f"cloud: some jobs get no callbacks: {error}\n")
            self._take(ranges.expand(portion))

    def _requests(self) -> list[list[Range]]:
        """Return the jobs of each request; without any, the thread ends."""
        with self._changed:
            open_ = ranges.merged(span for batch in self._batches for span in batch.open)
            if not open_:
                self._thread = None
            return list(portions(open_))

    def _wait(self, portion: list[Range], hold_s: float) -> None:
        body = wire.WaitRequest(jids=portion, timeout_s=hold_s, payloads=False)
        answer = self._transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)
        options = self._take(outcome.jid for outcome in answer.outcomes)
        for outcome in answer.outcomes:
            if outcome.jid in options:
                _call(options[outcome.jid], outcome)

    def _take(self, jids: Iterable[int]) -> dict[int, CallOptions]:
        """Stop waiting for these jobs; return the options of each."""
        ended = sorted(jids)
        options: dict[int, CallOptions] = {}
        with self._changed:
            for batch in self._batches:
                own = [
                    jid
                    for low, high in batch.open
                    for jid in ended[bisect_left(ended, low) : bisect_right(ended, high)]
                ]
                batch.open = without(batch.open, own)
                options |= dict.fromkeys(own, batch.options)
            self._batches = [batch for batch in self._batches if batch.open]
        return options


def _call(options: CallOptions, outcome: Outcome) -> None:
    is_done = outcome.status == Status.DONE
    for function in options.callback if is_done else options.callback_on_error:
        try:
            function(outcome.jid)
        except BaseException as error:  # noqa: BLE001 - it is printed and stops no other callback
            name = getattr(function, "__qualname__", repr(function))
            sys.stderr.write(f"cloud: the callback {name} of job {outcome.jid} failed:\n")
            trace = frames_below(error.__traceback__)
            traceback.print_exception(error.with_traceback(trace))
