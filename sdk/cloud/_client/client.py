"""The client: everything that a user can ask of one PiCloud server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from picloud_model import ranges, wire
from picloud_model.job import FINAL, Status

from cloud._arguments.jids import read_jids
from cloud._arguments.option_values import seconds, whole
from cloud._arguments.options import split_options
from cloud._display.show import Unwatched, watch
from cloud._http.transport import ServerAddress, Transport
from cloud._jobs.callback import Callbacks
from cloud._jobs.info import InfoClient, RequestedKeys
from cloud._jobs.interrupt import interrupted
from cloud._jobs.results import IN_PARALLEL, MOST_IN_PARALLEL, OrderedResults, UnorderedResults
from cloud._jobs.submit import Submitter
from cloud._jobs.wait import Waiter, WaitOptions
from cloud._packing import Packer
from cloud._resources.blob import BlobClient
from cloud._resources.key import KeyClient
from cloud.errors import (
    CloudException,
    CloudTimeoutError,
    CloudTypeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloud._arguments.options import CallOptions
    from cloud._config.configuration import Config
    from cloud._display.show import WaitWatch
    from cloud._jobs.job_socket import SupervisorClient
    from cloud._jobs.listing import JobFilter, SubmittedJobs
    from cloud._resources.bucket import BucketClient


class Client:
    """Talks to one server for one account. Threads and forked processes may share it.

    Args:
        address: Where the server is, and the API key for it.
        config: Limits and timeouts.
        transport: What carries requests; the network by default.
        supervisor: The supervisor of the slot, if this process runs a job.
        simulated: Whether the server is the simulator of this script.

    Attributes:
        address: Where the server is, and the API key in use.
        keys: The API keys of the account.
        blobs: Uploads and fetches blobs.
        packer: Pickles what is sent, and unpickles what is received.
    """

    def __init__(
        self,
        address: ServerAddress,
        config: Config,
        transport: Transport | None = None,
        supervisor: SupervisorClient | None = None,
        *,
        simulated: bool = False,
    ) -> None:
        self.address = address
        self._config = config
        self._simulated = simulated
        self._in_job = supervisor is not None
        self._transport = transport or Transport(address, config)
        self.keys = KeyClient(self._transport)
        self.blobs = blobs = BlobClient(self._transport)
        self.packer = packer = Packer(blobs.fetch, data_limit=lambda: config.package_data)
        self._submitter = Submitter(self._transport, blobs, packer, config)
        self._callbacks = Callbacks(self._transport)
        self._infos = InfoClient(self._transport, blobs, packer)
        self._waiter = Waiter(
            self._transport,
            blobs,
            packer,
            config=config,
            clock=time.monotonic,
            supervisor=supervisor,
        )

    @property
    def transport(self) -> Transport:
        """What carries the requests of this client."""
        return self._transport

    @cached_property
    def bucket(self) -> BucketClient:
        """The objects of the account; see `cloud.bucket`."""
        from cloud._resources.bucket import BucketClient  # noqa: PLC0415 - few scripts need it

        return BucketClient(self._transport)

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> int:
        """Create a job that runs `func(*args, **kwargs)`; see `cloud.call`."""
        options, kwargs = split_options(kwargs)
        return self.submit_call(func, args, kwargs, options)

    def map(self, func: Callable[..., Any], /, *iterables: Any, **kwargs: Any) -> range:
        """Create a job for each item of the iterables; see `cloud.map`."""
        options, kwargs = split_options(kwargs)
        if not iterables:
            raise CloudTypeError("map needs a function and at least one iterable of arguments.")
        for number, items in enumerate(iterables, 1):
            if not hasattr(items, "__iter__") and not hasattr(items, "__getitem__"):
                raise CloudTypeError(
                    f"Argument {number} of map must be an iterable, not {items!r:.80}; "
                    "use cloud.call for a single job."
                )
        return self.submit_map(func, iterables, kwargs, options)

    def submit_call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> int:
        """Create a job that runs `func(*args, **kwargs)` with these options; return its jid."""
        jid = self._submitter.call(func, args, kwargs, options)
        self._callbacks.add(range(jid, jid + 1), options)
        return jid

    def prepare_call(self, func: Callable[..., Any], options: CallOptions) -> wire.SubmitRequest:
        """Return a request that creates a job of `func()`, which something else will send."""
        return self._submitter.prepare(func, (), {}, options)

    def submit_map(
        self,
        func: Callable[..., Any],
        iterables: Sequence[Iterable[Any]],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> range:
        """Create a job for each item of the iterables with these options; return the jids."""
        jids = self._submitter.map(func, iterables, kwargs, options)
        self._callbacks.add(jids, options)
        return jids

    def check_key(self) -> None:
        """Ask the server whether it knows the API key.

        Raises:
            CloudException: When it does not, or there is no server.
        """
        self._transport.post("/v1/jobs/status", wire.JobsRequest(jids=[]), wire.Statuses)

    def status(self, jids: Any) -> Any:
        """Return the status of a job, or a list of statuses; see `cloud.status`."""
        jid_list = read_jids(jids)
        statuses: dict[int, str] = {}
        for portion in jid_list.portions():
            body = wire.JobsRequest(jids=portion)
            answer = self._transport.post("/v1/jobs/status", body, wire.Statuses)
            for run in answer.runs:
                statuses.update(dict.fromkeys(range(run.first, run.last + 1), run.status))
        ordered = [statuses[jid] for jid in jid_list.order]
        return ordered[0] if jid_list.single else ordered

    def join(
        self,
        jids: Any,
        timeout: float | None = None,
        ignore_errors: bool = False,
        deadlock_check: bool = True,  # noqa: ARG002 - see cloud.join
        *,
        show: bool = False,
    ) -> None:
        """Wait for jobs to end; see `cloud.join`.

        With `show` the program shows how many have ended, as the settings say.
        """
        options = WaitOptions(
            timeout_s=seconds(timeout), payloads=False, ignore_errors=ignore_errors
        )
        self._wait(read_jids(jids).order, options, show=show)

    def result(
        self,
        jids: Any,
        timeout: float | None = None,
        ignore_errors: bool = False,
        deadlock_check: bool = True,  # noqa: ARG002 - see cloud.join
        *,
        show: bool = False,
    ) -> Any:
        """Return the result of a job, or a list of results; see `cloud.result` and `join`."""
        jid_list = read_jids(jids)
        options = WaitOptions(timeout_s=seconds(timeout), ignore_errors=ignore_errors)
        values = self._wait(jid_list.order, options, show=show)
        return values[0] if jid_list.single else values

    def iresult(
        self,
        jids: Any,
        timeout: float | None = None,
        num_in_parallel: int = IN_PARALLEL,
        ignore_errors: bool = False,
        *,
        show: bool = False,
    ) -> Iterator[Any]:
        """Iterate over results in the order of the jids; see `cloud.iresult` and `join`."""
        in_parallel = whole(num_in_parallel)
        if in_parallel is None:
            raise CloudTypeError(f"num_in_parallel must be a number, not {num_in_parallel!r}.")
        if in_parallel < 0:
            raise CloudException(f"num_in_parallel must be at least 0, not {num_in_parallel}.")
        options = WaitOptions(timeout_s=seconds(timeout), ignore_errors=ignore_errors)
        order = read_jids(jids).order
        return OrderedResults(
            order,
            self._waiter,
            options,
            in_parallel or MOST_IN_PARALLEL,
            watch=self._watch(order, show=show),
        )

    def iresult_unordered(self, jids: Any, *, show: bool = False) -> Iterator[tuple[int, Any]]:
        """Iterate over pairs of jid and result as jobs end; see `cloud.iresult_unordered`."""
        order = read_jids(jids).order
        return UnorderedResults(
            order,
            self._waiter,
            WaitOptions(),
            IN_PARALLEL,
            watch=self._watch(order, show=show),
        )

    def wait_for_status(
        self, jids: Any, test_status: str | Sequence[str], timeout: float | None = None
    ) -> Any:
        """Wait until jobs have a status, or one of several; see `cloud.wait_for.status`."""
        statuses, timeout_s = _statuses(test_status), seconds(timeout)
        patience, others = self._waiter.patience(), dict[int, str]()
        deadline = patience.deadline(timeout_s)

        def attempt(portion: list[ranges.Range], hold_s: float) -> bool:
            others.clear()
            self._waiter.until_status(portion, statuses, hold_s, timed=timeout_s is not None)
            others.update(self._other_statuses(portion, statuses))
            _check_reachable(others, statuses)
            return not others

        def expired() -> CloudTimeoutError:
            for jid, status in others.items():
                return CloudTimeoutError(f"still {status} after {timeout_s:g} s", jid, status)
            return CloudTimeoutError(f"unknown after {timeout_s:g} s")

        jid_list = read_jids(jids)
        try:
            for portion in jid_list.portions():
                patience.until(partial(attempt, portion), deadline, expired)
        except KeyboardInterrupt:
            raise interrupted(jid_list.order, ranges.collapse(jid_list.order)) from None
        return self.status(jids)

    def _other_statuses(
        self, portion: Sequence[ranges.Range], statuses: Sequence[str]
    ) -> dict[int, str]:
        """Return the jobs that have none of these statuses, with the status that they have."""
        jids = list(ranges.expand(portion))
        shown = zip(jids, self.status(jids), strict=True)
        return {jid: status for jid, status in shown if status not in statuses}

    def kill(self, jids: Any = None) -> int:
        """Abort jobs, by default all unfinished ones; return how many; see `cloud.kill`."""
        if jids is None:
            return self._kill(None)
        return sum(self._kill(portion) for portion in read_jids(jids).portions())

    def info(self, jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """Return what is known about jobs, by jid; see `cloud.info`."""
        keys = RequestedKeys(info_requested)
        return self._infos.of(read_jids(jids).order, keys)

    def streams(self, jids: Sequence[int], since: Mapping[str, int]) -> Iterator[wire.JobInfo]:
        """Yield the status of jobs and what they wrote to streams after these byte offsets."""
        return self._infos.streams(jids, since)

    def follow(self, jid: int, since: Mapping[str, int]) -> wire.JobInfo:
        """Return a job's status and what it wrote to its streams after these byte offsets."""
        return next(self._infos.streams([jid], since))

    def delete(self, jids: Any) -> int:
        """Delete the data of finished jobs; return how many had any; see `cloud.delete`."""
        count = 0
        for portion in read_jids(jids).portions():
            body = wire.DeleteRequest(jids=portion)
            count += self._transport.post("/v1/jobs/delete", body, wire.Deleted).count
        return count

    def delete_finished(self) -> int:
        """Delete the data of every finished job; return how many had any."""
        count, more = 0, True
        while more:
            body = wire.DeleteRequest(jids=None)
            deleted = self._transport.post("/v1/jobs/delete", body, wire.Deleted)
            count, more = count + deleted.count, deleted.more
        return count

    def usage(self) -> wire.AccountUsage:
        """Return what this account has stored."""
        return self._transport.post("/v1/usage", wire.UsageRequest(), wire.AccountUsage)

    def restart_slots(self) -> int:
        """Have each slot end before its next job; return how many there are."""
        body = wire.RestartSlotsRequest()
        return self._transport.post("/v1/slots/restart", body, wire.SlotsRestarted).count

    def listed(self, request: wire.ListRequest) -> wire.JobsListed:
        """Return a page of this account's jobs, newest first."""
        return self._transport.post("/v1/jobs/list", request, wire.JobsListed)

    def batches(self, request: wire.BatchesRequest) -> wire.BatchesListed:
        """Return a page of this account's batches, newest first, with counts by status."""
        return self._transport.post("/v1/jobs/batches", request, wire.BatchesListed)

    def jobs(self, wanted: JobFilter, limit: int) -> list[SubmittedJobs]:
        """Return calls and maps of this account, newest first; see `cloud.jobs`."""
        from cloud._jobs.listing import read_jobs  # noqa: PLC0415 - few scripts list jobs

        return read_jobs(self._transport, wanted, limit)

    def renew(self, address: ServerAddress) -> None:
        """Use another key for the same server; connections stay open.

        A job's token ends with the job, but the process goes on to run the next one.
        """
        if address is not self.address:
            self.address = address
            self._transport.renew(address)

    def close(self) -> None:
        """Close connections and forget callbacks; the next request opens new connections."""
        self._callbacks.close()
        self._transport.close()

    def _kill(self, portion: list[ranges.Range] | None) -> int:
        body = wire.JobsRequest(jids=portion)
        return self._transport.post("/v1/jobs/kill", body, wire.Killed).count

    def _watch(self, order: Sequence[int], *, show: bool, stream: bool | None = False) -> WaitWatch:
        if not show or self._in_job:
            return Unwatched()
        stream = self._simulated if stream is None else stream
        return watch(self, order, self._config, stream=stream)

    def _wait(self, order: Sequence[int], options: WaitOptions, *, show: bool) -> list[Any]:
        distinct = order if isinstance(order, range) else list(dict.fromkeys(order))
        stream = self._config.stream_output
        with (
            closing(self._watch(distinct, show=show, stream=stream)) as watched,
            watched as on_progress,
        ):
            options = replace(options, on_progress=on_progress)
            values = self._waiter.until_ended(distinct, options)
        if len(distinct) == len(order):
            return values
        by_jid = dict(zip(distinct, values, strict=True))
        return [by_jid[jid] for jid in order]


def _statuses(test_status: object) -> list[str]:
    names = [test_status] if isinstance(test_status, str) else test_status
    known = [status.value for status in Status]
    if not isinstance(names, Iterable) or not (listed := list(names)) or set(listed) - set(known):
        raise CloudException(
            f"test_status must be one of {', '.join(known)}, or a list of them, "
            f"not {test_status!r:.80}."
        )
    return listed


def _check_reachable(others: Mapping[int, str], statuses: Sequence[str]) -> None:
    """Refuse to wait for a status that a job can never have: a final status does not change."""
    for jid, status in others.items():
        if status in _FINAL:
            names = _or(statuses)
            raise CloudException(f"ended as {status} and will never be {names}.", jid, status)


def _or(names: Sequence[str]) -> str:
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


_FINAL: Final = frozenset(state.shown.value for state in FINAL)
