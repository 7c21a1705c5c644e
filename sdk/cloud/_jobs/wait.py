"""Waiting for jobs: one long poll for all of them, and the outcome of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import ranges, wire
from picloud_model.errors import PiCloudError
from picloud_model.job import Cause, Status
from picloud_model.pack import unseal
from picloud_model.wire import Outcome

from cloud._arguments.jids import portions, unfinished_jids
from cloud._arguments.statuses import check_reachable
from cloud._http.patience import Patience
from cloud._http.tracing import traced
from cloud._jobs.interrupt import interrupted, unreached
from cloud._jobs.outcome_table import OutcomeTable
from cloud._packing.errors import PackingError
from cloud.errors import CloudConnectionError, CloudException, CloudTimeoutError, raised_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.pack import Envelope
    from picloud_model.ranges import Range
    from picloud_model.wire import Content, Outcomes

    from cloud._config.configuration import Config
    from cloud._http.job_socket import SupervisorClient
    from cloud._http.transport import Transport
    from cloud._packing.packer import Packer
    from cloud._resources.blob import BlobClient


class WaitOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to wait for jobs.

    `timeout_s` is None for no limit. With `payloads` results are read. With `ignore_errors` a
    failed job does not raise: its error takes the place of its result. With `original` the errors
    of results that are read one by one are what the jobs' functions raised. `on_progress` is called
    with the number of jobs that have ended, the number of all, and the outcomes of each reply.
    """

    timeout_s: float | None = None
    payloads: bool = True
    ignore_errors: bool = False
    original: bool = False
    on_progress: Callable[[int, int, Sequence[Outcome]], None] | None = None

    def needs(self, outcome: Outcome) -> bool:
        """Whether the outcome of a job has to be read, and not only the fact that it ended."""
        if outcome.status == Status.DONE:
            return self.payloads
        return self.payloads or not self.ignore_errors


_FAILED: Final = frozenset((Status.ERROR, Status.KILLED, Status.STALLED))
_ENDS: Final = ("Killed by its user", "Ended by its time limit")
"""Last lines of the tracebacks of jobs that were ended."""
_UNPICKLABLE: Final = "which cannot be pickled"
"""A summary with these words says more than the error of `pickle`."""


class Unreadable(Exception):
    """A job is done, but its result cannot be read in this process."""

    def __init__(self, jid: int, reason: str) -> None:
        super().__init__(reason)
        self.jid = jid
        self.reason = reason


class Waiter:
    """Waits for jobs of one server.

    Args:
        transport: What carries requests.
        blobs: Fetches large results.
        packer: Unpickles results.
        config: How long to wait while the server cannot be reached.
        clock: Monotonic seconds.
        supervisor: The supervisor of the slot, if this process runs a job.
        simulator_of: The module of the server, if it ends with this program.
    """

    def __init__(
        self,
        transport: Transport,
        blobs: BlobClient,
        packer: Packer,
        *,
        config: Config,
        clock: Callable[[], float],
        supervisor: SupervisorClient | None = None,
        simulator_of: str | None = None,
    ) -> None:
        self.is_temporary = simulator_of is not None
        self.interrupted = partial(interrupted, simulator_of=simulator_of)
        self.transport = transport
        self._config = config
        self.blobs = blobs
        self.packer = packer
        self._clock = clock
        self.supervisor = supervisor

    @traced("cloud.result")
    def until_ended(self, order: Sequence[int], options: WaitOptions) -> list[Any]:
        """Wait until all jobs have ended, or one has failed and all before it have ended.

        Args:
            order: Distinct jids.
            options: How to wait.

        Returns:
            The results in the order of the jids; without `payloads` a list of None.

        Raises:
            CloudException: The error of the first failed job in that order.
            CloudTimeoutError: When the timeout is reached first.
        """
        table = OutcomeTable(order)
        try:
            self._wait_until_ended(table, order, options)
        except KeyboardInterrupt:
            raise self.interrupted(order, table.open) from None
        except CloudConnectionError as error:
            if not self.transport.has_answered:  # the address is likely wrong
                raise
            raise unreached(error, table.open) from error.__cause__
        return table.values

    def _wait_until_ended(
        self, table: OutcomeTable, order: Sequence[int], options: WaitOptions
    ) -> None:
        patience = self.patience()
        supervisor = self.supervisor
        with ExitStack() as blocked:

            def attempt(hold_s: float) -> bool:
                nonlocal supervisor
                # A job asks without waiting first: being set aside costs more than another request.
                answer = self._poll(table.open, 0.0 if supervisor else hold_s, options)
                self._read(answer, table, options)
                if options.on_progress is not None:
                    options.on_progress(table.ended, len(order), answer.outcomes)
                if (failure := table.failure()) is not None:
                    failure.among = self._among(failure, order) if len(order) > 1 else ""
                    raise failure
                if table.open and supervisor and hold_s:
                    timed = options.timeout_s is not None
                    blocked.enter_context(supervisor.blocked(table.open, timed=timed))
                    supervisor = None
                return not table.open

            def expired() -> CloudTimeoutError:
                return _timeout_error(table, len(order), options.timeout_s or 0.0)

            if table.open:
                patience.until(attempt, patience.deadline(options.timeout_s), expired)

    def _among(self, failure: CloudException, order: Sequence[int]) -> str:
        """Say how many of some jobs have failed, and which one an error is about."""
        assert isinstance(failure.jid, int)
        item = f"item {order.index(failure.jid)}"
        failed = ended = 0
        try:
            for portion in portions(ranges.collapse(order)):
                body = wire.JobsRequest(jids=portion)
                for run in self.transport.post("/v1/jobs/status", body, wire.Statuses).runs:
                    count = run.last - run.first + 1
                    failed += count if run.status in _FAILED else 0
                    ended += count if run.status in _FAILED or run.status == Status.DONE else 0
        except CloudException:
            return item  # what the user has to know is why the job failed
        left = len(order) - ended
        so_far = f" so far, {left:,} {'has' if left == 1 else 'have'} not ended" if left else ""
        number = f"{failed:,} of {len(order):,} jobs failed{so_far}"
        return f"{number},{' first' if failed > 1 else ''} {item}"

    def patience(self) -> Patience:
        """Return the patience of one wait."""
        return Patience(self.transport, self._config.patience_s, self._clock)

    def outcomes(self, open_: Sequence[Range], hold_s: float, options: WaitOptions) -> Outcomes:
        """Ask once which jobs have ended; the server waits up to `hold_s` seconds for the first."""
        if self.supervisor is None:
            return self._poll(open_, hold_s, options)
        return self.supervisor.wait(
            lambda held_s: self._poll(open_, held_s, options),
            lambda answer: bool(answer.outcomes),
            hold_s,
            open_,
            timed=options.timeout_s is not None,
        )

    def fetch(self, jid: int, contents: Sequence[Content]) -> Iterator[bytes]:
        """Yield large results, the first of which is that of job `jid`; only that one may raise."""
        blobs = self.blobs.fetch(contents)
        try:
            yield next(blobs)
        except CloudConnectionError:
            raise
        except CloudException as error:
            raise _error(Unreadable(jid, f"its result cannot be fetched: {error}")) from error
        with suppress(CloudException):
            yield from blobs  # a missing one is fetched again when its turn comes, and raises then

    def envelope(self, answer: Outcomes, outcome: Outcome) -> Envelope:
        """Return the description of the Python that pickled an outcome."""
        return _envelope(answer, outcome, self.packer)

    def value(
        self, outcome: Outcome, payload: bytes | None, envelope: Envelope, options: WaitOptions
    ) -> Any:
        """Return the result of a job, or with `ignore_errors` its error.

        Raises:
            CloudException: When the job failed, or its result cannot be read.
        """
        if not options.needs(outcome):
            return None
        try:
            if outcome.status == Status.DONE:
                return self._result(outcome, payload, envelope)
            failure = self._failure(outcome, payload, envelope)
        except Unreadable as unreadable:
            failure = _error(unreadable)
        chosen = raised_for(failure, original=options.original)
        if options.ignore_errors:
            return chosen
        raise chosen

    def until_all_have(
        self,
        order: Sequence[int],
        statuses: Sequence[str],
        timeout_s: float | None,
        read: Callable[[Any], Any],
    ) -> None:
        """Wait until each job has one of these statuses; `read` returns the statuses of jobs.

        Raises:
            CloudException: When a job has ended with another status.
            CloudTimeoutError: When the timeout is reached first.
        """
        patience, others = self.patience(), dict[int, str]()
        deadline = patience.deadline(timeout_s)

        def attempt(portion: list[Range], hold_s: float) -> bool:
            others.clear()
            self._until_status(portion, statuses, hold_s, timed=timeout_s is not None)
            jids = list(ranges.expand(portion))
            shown = zip(jids, read(jids), strict=True)
            others.update((jid, status) for jid, status in shown if status not in statuses)
            check_reachable(others, statuses)
            return not others

        def expired() -> CloudTimeoutError:
            for jid, status in others.items():
                return CloudTimeoutError(f"still {status} after {timeout_s:g} s", jid, status)
            return CloudTimeoutError(f"unknown after {timeout_s:g} s")

        spans = ranges.collapse(order)
        try:
            for portion in portions(spans):
                patience.until(partial(attempt, portion), deadline, expired)
        except KeyboardInterrupt:
            raise self.interrupted(order, spans) from None

    def _until_status(
        self, jids: Sequence[Range], statuses: Sequence[str], hold_s: float, *, timed: bool
    ) -> None:
        """Wait up to `hold_s` seconds until each job has one of these statuses or never will.

        `timed` says whether the caller gives up after some time.
        """
        body = wire.WaitRequest(
            jids=list(jids),
            timeout_s=hold_s,
            payloads=False,
            statuses=[Status(each) for each in statuses],
        )
        supervisor = self.supervisor
        with nullcontext() if supervisor is None else supervisor.blocked(jids, timed=timed):
            self.transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)

    def _poll(self, open_: Sequence[Range], hold_s: float, options: WaitOptions) -> Outcomes:
        body = wire.WaitRequest(
            jids=next(portions(open_)), timeout_s=hold_s, payloads=options.payloads
        )
        return self.transport.poll("/v1/jobs/wait", body, wire.Outcomes, hold_s)

    def _read(self, answer: Outcomes, table: OutcomeTable, options: WaitOptions) -> None:
        needed = [outcome for outcome in answer.outcomes if options.needs(outcome)]
        blobs = self.blobs.fetch([each.blob for each in needed if each.blob is not None])
        for outcome in answer.outcomes:
            if not options.needs(outcome):
                table.add_result(outcome.jid, None)
                continue
            envelope = _envelope(answer, outcome, self.packer)
            try:
                payload = outcome.payload if outcome.blob is None else _next(blobs, outcome)
                if outcome.status == Status.DONE:
                    table.add_result(outcome.jid, self._result(outcome, payload, envelope))
                    continue
                failure = partial(self._failure, outcome, payload, envelope)
            except Unreadable as unreadable:
                failure = partial(_error, unreadable)
            if options.ignore_errors:
                table.add_result(outcome.jid, failure())
            else:
                table.add_failure(outcome.jid, failure)
        table.close([outcome.jid for outcome in answer.outcomes])

    def _result(self, outcome: Outcome, payload: bytes | None, envelope: Envelope) -> Any:
        if payload is None:
            raise Unreadable(outcome.jid, "the server sent no result")
        try:
            return self.packer.result(payload, envelope, checked=outcome.blob is not None)
        except PackingError as error:
            raise Unreadable(outcome.jid, str(error)) from error

    def _failure(
        self, outcome: Outcome, payload: bytes | None, envelope: Envelope
    ) -> CloudException:
        phrase = _phrase(outcome)
        if payload is None:
            return CloudException(phrase, outcome.jid, outcome.status)
        try:
            failure = wire.decode(bytes(unseal(payload)), wire.Failure)
        except (PiCloudError, msgspec.MsgspecError) as problem:
            return CloudException(f"{phrase} ({problem})", outcome.jid, outcome.status)
        summary = failure.message or phrase
        text = _text(failure, summary)
        error = CloudException(text, outcome.jid, outcome.status, summary=summary)
        if failure.pickled is not None:
            error.__cause__ = self.packer.exception(failure.pickled, envelope)
            if error.__cause__ is None:
                error.add_note("picloud: the exception itself does not unpickle on this machine")
        return error


def _text(failure: wire.Failure, summary: str) -> str:
    """Describe a failure in full; the traceback of a user's exception ends with the summary."""
    details = failure.traceback.rstrip()
    if failure.cause == Cause.EXCEPTION:
        return details or summary
    frames, _, last = details.rpartition("\n")
    message = last.partition(": ")[2]
    repeated = message in summary or _UNPICKLABLE in summary
    if last in _ENDS or (message and not frames and repeated):
        details = frames  # the summary says so
    return f"{summary}\n{details}".rstrip()


def _next(blobs: Iterator[bytes], outcome: Outcome) -> bytes | None:
    try:
        return next(blobs, None)
    except CloudConnectionError:
        raise
    except CloudException as error:
        raise Unreadable(outcome.jid, f"its result cannot be fetched: {error}") from error


def _error(unreadable: Unreadable) -> CloudException:
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


def _timeout_error(table: OutcomeTable, count: int, timeout_s: float) -> CloudTimeoutError:
    unfinished, first = count - table.ended, table.open[0][0]
    if count == 1:
        return CloudTimeoutError(f"unfinished after {timeout_s:g} s", first)
    return CloudTimeoutError(
        f"{unfinished:,} of {count:,} jobs are unfinished after {timeout_s:g} s, "
        f"job {first} among them.",
        unfinished_jids(table.open),
    )
