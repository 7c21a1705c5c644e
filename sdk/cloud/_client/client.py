"""The client: everything that a user can ask of one PiCloud server."""

from __future__ import annotations

import time
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_model import ranges, wire

from cloud._arguments.iterables import check_iterables
from cloud._arguments.jids import check_owner, read_jids
from cloud._arguments.option_values import seconds
from cloud._arguments.options import split_options
from cloud._arguments.statuses import read_statuses
from cloud._display.show import Unwatched, watch
from cloud._http.transport import ServerAddress, Transport
from cloud._jobs.callback import Callbacks
from cloud._jobs.info import InfoClient, RequestedKeys
from cloud._jobs.job import Jobs, kind_of
from cloud._jobs.results import IN_PARALLEL, UnorderedResults, iterator_of, read_in_parallel
from cloud._jobs.submit import Submitter
from cloud._jobs.wait import Waiter, WaitOptions
from cloud._packing.packer import Packer
from cloud._resources.blob import BlobClient
from cloud._resources.key import KeyClient
from cloud.errors import CloudException, in_results, raised_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cloud._arguments.options import CallOptions
    from cloud._config.configuration import Config
    from cloud._display.show import WaitWatch
    from cloud._http.job_socket import SupervisorClient
    from cloud._jobs.awaited import Awaited, Settle
    from cloud._jobs.info import JobInputs
    from cloud._jobs.job import Job
    from cloud._jobs.listing import JobFilter, SubmittedJobs
    from cloud._jobs.results import ResultIterator
    from cloud._jobs.stream import JobStream
    from cloud._resources.bucket import BucketClient


class Client:
    """Talks to one server for one account. Threads and forked processes may share it.

    Args:
        address: Where the server is, and the API key for it.
        config: Limits and timeouts.
        transport: What carries requests; the network by default.
        supervisor: The supervisor of the slot, if this process runs a job.
        renewed: Returns the address with the token of the job that runs now, in such a process.
        simulator_of: The module of the server, `cloud` or `cloud.mp`, if it ends with the program.

    Attributes:
        address: Where the server is, and the API key in use.
        keys: The API keys of the account.
        blobs: Uploads and fetches blobs.
        packer: Pickles what is sent, and unpickles what is received.
        job: The class of this client's jobs.
        waiter: Waits for jobs.
    """

    def __init__(
        self,
        address: ServerAddress,
        config: Config,
        transport: Transport | None = None,
        supervisor: SupervisorClient | None = None,
        *,
        renewed: Callable[[], ServerAddress] | None = None,
        simulator_of: str | None = None,
    ) -> None:
        self.address = address
        self._renewed = renewed
        self.job = kind_of(self)
        self._config = config
        self._in_job = supervisor is not None
        self._transport = transport or Transport(address, config)
        self.keys = KeyClient(self._transport)
        self.blobs = blobs = BlobClient(self._transport)
        self.packer = packer = Packer(blobs.fetch, data_limit=lambda: config.package_data)
        self._submitter = Submitter(self._transport, blobs, packer, config, owner=self)
        self._callbacks = Callbacks(self._transport)
        self._infos = InfoClient(self._transport, blobs, packer)
        self.waiter = Waiter(
            self._transport,
            blobs,
            packer,
            config=config,
            clock=time.monotonic,
            supervisor=supervisor,
            simulator_of=simulator_of,
        )

    def ready(self) -> Client:
        """Return this client; in a job, with the token of the job that runs now."""
        if self._renewed is not None:
            self.renew(self._renewed())
        return self

    @property
    def raises_original(self) -> bool:
        """Whether methods of jobs raise what the job's function raised."""
        return self._config.raise_original is not False

    @property
    def transport(self) -> Transport:
        """What carries the requests of this client."""
        return self._transport

    @cached_property
    def _awaited(self) -> Awaited:
        from cloud._jobs.awaited import Awaited  # noqa: PLC0415 - few scripts need it

        return Awaited(self.waiter)

    @cached_property
    def bucket(self) -> BucketClient:
        """The objects of the account; see `cloud.bucket`."""
        from cloud._resources.bucket import BucketClient  # noqa: PLC0415 - few scripts need it

        return BucketClient(self._transport)

    def has_key(self, key_id: str) -> bool:
        """Return whether the account has an API key; the server is asked once about each."""
        return self.keys.has(key_id)

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job:
        """Create a job that runs `func(*args, **kwargs)`; see `cloud.call`."""
        options, kwargs = self._split(kwargs)
        return self.submit_call(func, args, kwargs, options)

    def map(self, func: Callable[..., Any], /, *iterables: Any, **kwargs: Any) -> Jobs:
        """Create a job for each item of the iterables; see `cloud.map`."""
        options, kwargs = self._split(kwargs)
        check_iterables(iterables)
        return self.submit_map(func, iterables, kwargs, options)

    def submit_call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> Job:
        """Create a job that runs `func(*args, **kwargs)` with these options; return it."""
        jid = self._submitter.call(func, args, kwargs, options)
        self._callbacks.add(range(jid, jid + 1), options)
        return self.job(jid)

    def prepare_call(
        self, func: Callable[..., Any], options: CallOptions, arguments: Mapping[str, Any] = {}
    ) -> wire.SubmitRequest:
        """Return a request that creates a job of `func(**arguments)`, to be sent later."""
        return self._submitter.prepare(func, (), dict(arguments), options)

    def submit_map(
        self,
        func: Callable[..., Any],
        iterables: Sequence[Iterable[Any]],
        kwargs: dict[str, Any],
        options: CallOptions,
    ) -> Jobs:
        """Create a job for each item of the iterables with these options; return them."""
        jids = self._submitter.map(func, iterables, kwargs, options)
        self._callbacks.add(jids, options)
        return Jobs(jids, self.job)

    def check_key(self) -> None:
        """Ask the server whether it knows the API key.

        Raises:
            CloudException: When it does not, or there is no server.
        """
        self._transport.post("/v1/jobs/status", wire.JobsRequest(jids=[]), wire.Statuses)

    def status(self, jids: Any) -> Any:
        """Return the status of a job, or a list of statuses; see `cloud.status`."""
        jid_list = read_jids(jids, self)
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
        self._wait(read_jids(jids, self).order, options, show=show)

    def result(
        self,
        jids: Any,
        timeout: float | None = None,
        ignore_errors: bool = False,
        deadlock_check: bool = True,  # noqa: ARG002 - see cloud.join
        *,
        return_exceptions: bool = False,
        original: bool | None = None,
        show: bool = False,
    ) -> Any:
        """Return the result of a job, or a list of results; see `cloud.result` and `join`.

        With `original` errors are those of the jobs' functions, by default if the setting
        `raise_original` is True.
        """
        if original is None:
            original = self._config.raise_original is True and not ignore_errors
        jid_list = read_jids(jids, self)
        options = WaitOptions(
            timeout_s=seconds(timeout), ignore_errors=ignore_errors or return_exceptions
        )
        try:
            values, failure = self._wait(jid_list.order, options, show=show), None
        except CloudException as error:
            failure = raised_for(error, original=original)
        if failure is not None:
            raise failure
        if return_exceptions:
            values = in_results(jid_list.order, values, original=original)
        return values[0] if jid_list.single else values

    def iresult(
        self,
        jids: Any,
        timeout: float | None = None,
        num_in_parallel: int = IN_PARALLEL,
        ignore_errors: bool = False,
        *,
        return_exceptions: bool = False,
        original: bool | None = None,
        overall: bool = False,
        unordered: bool = False,
        show: bool = False,
    ) -> ResultIterator:
        """Iterate over results, by default in the order of the jids; see `cloud.iresult`.

        With `overall` the timeout is for all of them together.
        """
        in_parallel = read_in_parallel(num_in_parallel)
        if original is None:
            original = self._config.raise_original is True and not ignore_errors
        options = WaitOptions(
            timeout_s=seconds(timeout),
            ignore_errors=ignore_errors or return_exceptions,
            original=original,
        )
        order = read_jids(jids, self).order
        watch = self._watch(order, show=show)
        return iterator_of(unordered=unordered)(
            order, self.waiter, options, in_parallel, watch=watch, overall=overall
        )

    def iresult_unordered(self, jids: Any, *, show: bool = False) -> Iterator[tuple[int, Any]]:
        """Iterate over pairs of jid and result as jobs end; see `cloud.iresult_unordered`."""
        order = read_jids(jids, self).order
        watch = self._watch(order, show=show)
        return UnorderedResults(order, self.waiter, WaitOptions(), IN_PARALLEL, watch=watch)

    def wait_for_status(
        self, jids: Any, test_status: str | Sequence[str], timeout: float | None = None
    ) -> Any:
        """Wait until jobs have a status, or one of several; see `cloud.wait_for.status`."""
        order, statuses = read_jids(jids, self).order, read_statuses(test_status)
        self.waiter.until_all_have(order, statuses, seconds(timeout), self.status)
        return self.status(jids)

    def kill(self, jids: Any = None) -> int:
        """Abort jobs, by default all unfinished ones; return how many; see `cloud.kill`."""
        if jids is None:
            return self._kill(None)
        return sum(self._kill(portion) for portion in read_jids(jids, self).portions())

    def info(self, jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """Return what is known about jobs, by jid; see `cloud.info`."""
        keys = RequestedKeys(info_requested)
        return self._infos.of(read_jids(jids, self).order, keys)

    def inputs(self, jid: int) -> JobInputs:
        """Return what a job ran with: its function, arguments, modules and options."""
        return self._infos.inputs(jid)

    def when_ended(self, jid: int, settle: Settle) -> None:
        """Call `settle` with the result or the error of a job when it ends, in another thread."""
        self._awaited.add(jid, settle)

    def streams(self, jids: Sequence[int], since: Mapping[str, int]) -> Iterator[wire.JobInfo]:
        """Yield the status of jobs and what they wrote to streams after these byte offsets."""
        return self._infos.streams(jids, since)

    def follow(self, jid: int, since: Mapping[str, int]) -> wire.JobInfo:
        """Return a job's status and what it wrote to its streams after these byte offsets."""
        return next(self._infos.streams([jid], since))

    def stream(self, jid: int, start: int = 0, timeout: float | None = None) -> JobStream:
        """Iterate over the values that a job yields; see `Job.stream`."""
        from cloud._jobs.stream import JobStream  # noqa: PLC0415 - few scripts need it

        return JobStream(self.waiter, self.job(jid), start, seconds(timeout))

    def delete(self, jids: Any) -> int:
        """Delete the data of finished jobs; return how many had any; see `cloud.delete`."""
        count = 0
        for portion in read_jids(jids, self).portions():
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
        """Use another credential, as the token of the next job here; connections stay open."""
        if address is not self.address:
            self.address = address
            self._transport.renew(address)

    def close(self) -> None:
        """Close connections and forget callbacks; the next request opens new connections."""
        self._callbacks.close()
        self._transport.close()

    def _split(self, kwargs: dict[str, Any]) -> tuple[CallOptions, dict[str, Any]]:
        if "_depends_on" in kwargs:
            check_owner(kwargs["_depends_on"], self)
        return split_options(kwargs)

    def _kill(self, portion: list[ranges.Range] | None) -> int:
        body = wire.JobsRequest(jids=portion)
        return self._transport.post("/v1/jobs/kill", body, wire.Killed).count

    def _watch(self, order: Sequence[int], *, show: bool, stream: bool | None = False) -> WaitWatch:
        if not show or self._in_job:
            return Unwatched()
        stream = self.waiter.is_temporary if stream is None else stream
        return watch(self, order, self._config, stream=stream)

    def _wait(self, order: Sequence[int], options: WaitOptions, *, show: bool) -> list[Any]:
        distinct = order if isinstance(order, range) else list(dict.fromkeys(order))
        stream = self._config.stream_output
        with (
            closing(self._watch(distinct, show=show, stream=stream)) as watched,
            watched as on_progress,
        ):
            options = replace(options, on_progress=on_progress)
            values = self.waiter.until_ended(distinct, options)
        if len(distinct) == len(order):
            return values
        by_jid = dict(zip(distinct, values, strict=True))
        return [by_jid[jid] for jid in order]
