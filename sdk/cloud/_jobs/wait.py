"""Waiting for jobs: one long poll for all of them, and what each ended with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from picloud_model import wire
from picloud_model.errors import PiCloudError
from picloud_model.job import Cause, Status
from picloud_model.pack import unseal

from cloud._jobs.jids import portions, unfinished_jids
from cloud._jobs.outcome_table import OutcomeTable
from cloud._packing import PackingError
from cloud.errors import CloudConnectionError, CloudException, CloudTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.ranges import Range
    from picloud_model.wire import Content, Outcome, Outcomes

    from cloud._http.transport import Transport
    from cloud._jobs.job_socket import Line
    from cloud._packing import Packer
    from cloud._resources.blob import BlobClient


class WaitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a wait is for.

    `timeout_s` is None for no limit. With `payloads` results are read. With `ignore_errors` a
    failed job does not raise: its error takes the place of its result. `on_progress` is called with
    how many of how many jobs have ended.
    """

    timeout_s: float | None = None
    payloads: bool = True
    ignore_errors: bool = False
    on_progress: Callable[[int, int], None] | None = None

    def needs(self, outcome: Outcome) -> bool:
        """Whether it matters what a job ended with, and not only that it ended."""
        if outcome.status == Status.DONE:
            return self.payloads
        return self.payloads or not self.ignore_errors


class Unreadable(Exception):
    """A job is done, but its result cannot be had here."""

    def __init__(self, jid: int, reason: str) -> None:
        super().__init__(reason)
        self.jid = jid
        self.reason = reason


class Waiter:
    """Waits for jobs of one server."""

    def __init__(
        self,
        transport: Transport,
        blobs: BlobClient,
        packer: Packer,
        clock: Callable[[], float],
        line: Line | None = None,
    ) -> None:
        self._transport = transport
        self._blobs = blobs
        self._packer = packer
        self._clock = clock
        self._line = line

    def until_ended(self, order: Sequence[int], wish: WaitOptions) -> list[Any]:
        """Wait until all jobs have ended, or one has failed and all before it have ended.

        Args:
            order: Different jids.
            wish: How long to wait, and for what.

        Returns:
            The results in the order asked; without `payloads` a list of None.

        Raises:
            CloudException: What the first failed job, in that order, failed with.
            CloudTimeoutError: When the time is over first.
        """
        table = OutcomeTable(order)
        started = self._clock()
        # A job looks first: to be set aside for what has ended already would cost it more.
        longest = wire.LONGEST_POLL_S if self._line is None else 0.0
        with ExitStack() as blocked:
            while table.open:
                left = _left(wish.timeout_s, started, self._clock())
                answer = self._poll(table.open, min(left, longest), wish)
                self._read(answer, table, wish)
                if wish.on_progress is not None:
                    wish.on_progress(table.ended, len(order))
                if (failure := table.verdict()) is not None:
                    raise failure
                if table.open and not left:
                    raise _too_late(table, len(order), wish.timeout_s or 0.0)
                if table.open and self._line is not None and not longest:
                    timed = wish.timeout_s is not None
                    blocked.enter_context(self._line.blocked(table.open, timed=timed))
                    longest = wire.LONGEST_POLL_S
        return table.values

    def outcomes(self, open_: Sequence[Range], hold_s: float, wish: WaitOptions) -> Outcomes:
        """Ask once how jobs ended; the server answers when some have, or `hold_s` is over."""
        if self._line is None:
            return self._poll(open_, hold_s, wish)
        found = self._poll(open_, 0.0, wish)
        if found.outcomes or not hold_s:
            return found
        with self._line.blocked(open_, timed=wish.timeout_s is not None):
            return self._poll(open_, hold_s, wish)

    def fetch(self, jid: int, contents: Sequence[Content]) -> Iterator[bytes]:
        """Large results; where one cannot be had the first of them, of job `jid`, may fail."""
        blobs = self._blobs.fetch(contents)
        try:
            yield next(blobs)
        except CloudConnectionError:
            raise
        except CloudException as error:
            raise _told(Unreadable(jid, f"its result cannot be fetched: {error}")) from error
        with suppress(CloudException):
            yield from blobs  # whoever comes to them asks again, and hears of it

    def envelope(self, answer: Outcomes, outcome: Outcome) -> Envelope:
        """Which Python made what a job ended with."""
        return _envelope(answer, outcome, self._packer)

    def value(
        self, outcome: Outcome, payload: bytes | None, envelope: Envelope, wish: WaitOptions
    ) -> Any:
        """Return what a job ended with: its result, or with `ignore_errors` its error.

        Raises:
            CloudException: What it failed with.
        """
        if not wish.needs(outcome):
            return None
        try:
            if outcome.status == Status.DONE:
                return self._result(outcome.jid, payload, envelope)
            failure = self._failure(outcome, payload, envelope)
        except Unreadable as unreadable:
            failure = _told(unreadable)
        if wish.ignore_errors:
            return failure
        raise failure

    def until_shown(
        self, jids: Sequence[Range], statuses: Sequence[str], hold_s: float, *, timed: bool
    ) -> None:
        """Ask the server to answer when jobs have one of these statuses, or cannot any more.

        `timed` says whether whoever waits gives up after some time.
        """
        body = wire.WaitRequest(
            jids=list(jids),
            timeout_s=hold_s,
            payloads=False,
            statuses=[Status(each) for each in statuses],
        )
        line = self._line
        with nullcontext() if line is None else line.blocked(jids, timed=timed):
            self._transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)

    def _poll(self, open_: Sequence[Range], hold_s: float, wish: WaitOptions) -> Outcomes:
        body = wire.WaitRequest(
            jids=next(portions(open_)), timeout_s=hold_s, payloads=wish.payloads
        )
        return self._transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)

    def _read(self, answer: Outcomes, table: OutcomeTable, wish: WaitOptions) -> None:
        wanted = [outcome for outcome in answer.outcomes if wish.needs(outcome)]
        blobs = self._blobs.fetch([each.blob for each in wanted if each.blob is not None])
        for outcome in answer.outcomes:
            if not wish.needs(outcome):
                table.end(outcome.jid, None)
                continue
            envelope = _envelope(answer, outcome, self._packer)
            try:
                payload = outcome.payload if outcome.blob is None else _next(blobs, outcome)
                if outcome.status == Status.DONE:
                    table.end(outcome.jid, self._result(outcome.jid, payload, envelope))
                    continue
                failure = partial(self._failure, outcome, payload, envelope)
            except Unreadable as unreadable:
                failure = partial(_told, unreadable)
            if wish.ignore_errors:
                table.end(outcome.jid, failure())
            else:
                table.fail(outcome.jid, failure)
        table.settle([outcome.jid for outcome in answer.outcomes])

    def _result(self, jid: int, payload: bytes | None, envelope: Envelope) -> Any:
        if payload is None:
            raise Unreadable(jid, "the server sent no result")
        try:
            return self._packer.result(payload, envelope)
        except PackingError as error:
            raise Unreadable(jid, str(error)) from error

    def _failure(
        self, outcome: Outcome, payload: bytes | None, envelope: Envelope
    ) -> CloudException:
        phrase = _phrase(outcome)
        if payload is None:
            return CloudException(phrase, outcome.jid, outcome.status)
        try:
            told = wire.decode(bytes(unseal(payload)), wire.Failure)
        except (PiCloudError, msgspec.MsgspecError) as error:
            return CloudException(f"{phrase} ({error})", outcome.jid, outcome.status)
        summary = told.message or phrase
        found = CloudException(_text(told, summary), outcome.jid, outcome.status, summary=summary)
        if told.pickled is not None:
            found.__cause__ = self._packer.exception(told.pickled, envelope)
        return found


def _text(told: wire.Failure, summary: str) -> str:
    """A failure in full; only a traceback of the user's exception says in itself what it was."""
    traceback = told.traceback.rstrip()
    if told.cause == Cause.EXCEPTION:
        return traceback or summary
    return f"{summary}\n{traceback}".rstrip()


def _next(blobs: Iterator[bytes], outcome: Outcome) -> bytes | None:
    try:
        return next(blobs, None)
    except CloudConnectionError:
        raise
    except CloudException as error:
        raise Unreadable(outcome.jid, f"its result cannot be fetched: {error}") from error


def _told(unreadable: Unreadable) -> CloudException:
    error = CloudException(unreadable.reason, unreadable.jid, Status.DONE.value)
    error.__cause__ = unreadable.__cause__
    return error


def _phrase(outcome: Outcome) -> str:
    known = outcome.cause in Cause._value2member_map_  # a newer server may know more causes
    return (Cause(outcome.cause).phrase if known else "") or outcome.status


def _envelope(answer: Outcomes, outcome: Outcome, packer: Packer) -> Envelope:
    if outcome.envelope < len(answer.envelopes):
        return answer.envelopes[outcome.envelope]
    return packer.envelope


def _left(timeout_s: float | None, started: float, now: float) -> float:
    if timeout_s is None:
        return wire.LONGEST_POLL_S
    return max(0.0, timeout_s - (now - started))


def _too_late(table: OutcomeTable, count: int, timeout_s: float) -> CloudTimeoutError:
    unfinished, first = count - table.ended, table.open[0][0]
    if count == 1:
        return CloudTimeoutError(f"unfinished after {timeout_s:g} s", first)
    return CloudTimeoutError(
        f"{unfinished:,} of {count:,} jobs are unfinished after {timeout_s:g} s, "
        f"job {first} among them.",
        unfinished_jids(table.open),
    )
