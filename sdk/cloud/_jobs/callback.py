"""Callbacks: functions of the caller's that are called, here, when jobs end."""

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

from cloud._jobs.jids import portions, without
from cloud._jobs.options import CallOptions
from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_model.wire import Outcome

    from cloud._http.transport import Transport

HOLD_S: Final = 1.0
"""How long the server holds a request: jobs made meanwhile are asked for with the next one."""


class _Waited(msgspec.Struct):
    """Jobs of one batch that have not ended, and what to call for each that does."""

    open: list[Range]
    chosen: CallOptions


class Callbacks:
    """Waits in one thread for all jobs of a client that have callbacks, and calls these.

    The thread is a daemon and ends when there is nothing to wait for: a program that ends does not
    stay for its callbacks.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._waited: list[_Waited] = []
        self._thread: threading.Thread | None = None

    def add(self, jids: range, chosen: CallOptions) -> None:
        """Call the callbacks with each of these jids when its job ends."""
        if not jids or not (chosen.callback or chosen.callback_on_error):
            return
        if self._pid != os.getpid():
            self._begin_anew()  # a fork has neither the thread nor the jobs of its parent
        with self._changed:
            self._waited.append(_Waited([(jids[0], jids[-1])], chosen))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cloud callbacks", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._pid == os.getpid():
            with self._changed:
                self._waited.clear()
                self._changed.notify_all()

    def _run(self) -> None:
        try:
            while asked := self._asked():
                for portion in asked:
                    self._ask_for(portion, HOLD_S / len(asked))
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _ask_for(self, portion: list[Range], hold_s: float) -> None:
        try:
            self._ask(portion, hold_s)
        except CloudConnectionError:
            with self._changed:  # the server is away: nothing was lost
                self._changed.wait(HOLD_S)
        except CloudException as error:
            sys.stderr.write(f"cloud: some jobs get no callbacks: {error}\n")
            self._settle(ranges.expand(portion))

    def _asked(self) -> list[list[Range]]:
        """What to ask for, a request each; with nothing left the thread ends."""
        with self._changed:
            found = ranges.merged(span for waited in self._waited for span in waited.open)
            if not found:
                self._thread = None
            return list(portions(found))

    def _ask(self, portion: list[Range], hold_s: float) -> None:
        body = wire.WaitRequest(jids=portion, timeout_s=hold_s, payloads=False)
        answer = self._transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)
        chosen = self._settle(outcome.jid for outcome in answer.outcomes)
        for outcome in answer.outcomes:
            if outcome.jid in chosen:
                _call(chosen[outcome.jid], outcome)

    def _settle(self, jids: Iterable[int]) -> dict[int, CallOptions]:
        """Wait for these no longer; answers what was chosen for each."""
        gone = sorted(jids)
        found: dict[int, CallOptions] = {}
        with self._changed:
            for waited in self._waited:
                mine = [
                    jid
                    for low, high in waited.open
                    for jid in gone[bisect_left(gone, low) : bisect_right(gone, high)]
                ]
                waited.open = without(waited.open, mine)
                found |= dict.fromkeys(mine, waited.chosen)
            self._waited = [waited for waited in self._waited if waited.open]
        return found


def _call(chosen: CallOptions, outcome: Outcome) -> None:
    done = outcome.status == Status.DONE
    for function in chosen.callback if done else chosen.callback_on_error:
        try:
            function(outcome.jid)
        except BaseException:  # noqa: BLE001 - what a callback raises is told, and stops no other
            name = getattr(function, "__qualname__", repr(function))
            sys.stderr.write(f"cloud: the callback {name} of job {outcome.jid} failed:\n")
            traceback.print_exc()
