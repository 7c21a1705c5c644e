"""`Job` and `Jobs`, which `call` and `map` return: jids with methods for their jobs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from picloud_model.job import ENDED, Status
from picloud_model.ranges import MAX_JID

from cloud._arguments.handles import OwnedJid, OwnedJids
from cloud._arguments.jids import read_jids
from cloud._config.border import BORDER, of_users
from cloud._packing.values import PICKLING, JobValue, value_reduced
from cloud.errors import CloudException, CloudTypeError, CloudValueError, raised_for

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from cloud._arguments.handles import JobOwner, ValueStream


class Current:
    """The client that jobs belong to which no client made: `cloud.Job(7)`."""

    client: ClassVar[Callable[[], JobOwner] | None] = None


class Job(OwnedJid):
    """A job: its jid, a whole number, with methods for the job.

    It is an int: it compares, hashes, formats, pickles and is stored as the number, and whatever
    takes a jid takes a `Job`. Only its `repr` is not the number. In the arguments and the function
    of a call or map it arrives as a `Job`; in the arguments of `cloud.job` as its result.

    Args:
        jid: The number of a job of the account in use, from 1.

    Raises:
        CloudTypeError: When it is not a jid.

    >>> job = cloud.call(pow, 2, 10)
    >>> job.result()
    1024
    >>> cloud.Job(int(job)).status
    'done'
    """

    # There is no `__slots__`: a result that has arrived is kept in the instance.

    def __new__(cls, jid: Any) -> Self:
        """Return the handle of a job."""
        if type(jid) is not int or not 1 <= jid <= MAX_JID:
            with BORDER:
                listed = read_jids(jid)
                if not listed.single:
                    raise CloudTypeError(f"A Job is one job, not {jid!r:.80}.")
            return int.__new__(cls, listed.order[0])
        return int.__new__(cls, jid)

    @of_users
    def result(self, timeout: float | None = None, *, return_exceptions: bool = False) -> Any:
        """Wait for the job to end and return what its function returned.

        Args:
            timeout: How many seconds to wait; None for no limit.
            return_exceptions: Return the exception of a job that failed instead of raising it.

        Raises:
            Exception: What the function raised, with its remote traceback, unless
                `cloud.config.raise_original` is False.
            CloudException: When the job was killed, did not start, or its exception cannot be
                unpickled.
            CloudTimeoutError: When the timeout is reached.

        >>> cloud.call(divmod, 7, 2).result(timeout=60)
        (3, 1)
        """
        known = self.__dict__
        if "_error" not in known:
            client = self._client()
            try:
                self.keep(client.result(int(self), timeout, original=False, show=True), None)
            except CloudException as error:
                if self.keep(None, error) is not None:
                    raise
        failure: CloudException | None = known["_error"]
        if failure is None:
            return known["_value"]
        chosen = raised_for(failure, original=self._client().raises_original)
        if return_exceptions or "_returns_exceptions" in known:
            return chosen
        # Each time it is raised, Python adds the frames that it passes.
        raise chosen.with_traceback(None if chosen is failure else known["_trace"])

    @property
    def value(self) -> JobValue:
        """In the arguments of another job, which then waits for this one: its result.

        >>> one = cloud.call(abs, -1)
        >>> cloud.call(divmod, 7, one.value).result()
        (7, 0)
        """
        return JobValue(self)

    @property
    @of_users
    def status(self) -> str:
        """The status now: waiting, queued, processing, done, error, killed or stalled.

        >>> job = cloud.call(abs, -1)
        >>> job.status in ("waiting", "queued", "processing", "done")
        True
        """
        return str(self._client().status(int(self)))

    @of_users
    def done(self) -> bool:
        """Return whether the job has ended, well or not.

        >>> job = cloud.call(abs, -1)
        >>> cloud.join(job)
        >>> job.done()
        True
        """
        return "_error" in self.__dict__ or self.status in ENDED

    @of_users
    def running(self) -> bool:
        """Return whether the job is being run."""
        return "_error" not in self.__dict__ and self.status == Status.PROCESSING

    @of_users
    def info(self, info_requested: Any = None) -> dict[str, Any]:
        r"""Return what is known about the job besides its result, by name; see `cloud.info`.

        >>> job = cloud.call(print, "hello")
        >>> job.result()
        >>> job.info("stdout")
        {'stdout': 'hello\n'}
        """
        return self._client().info(int(self), info_requested)[int(self)]

    @of_users
    def kill(self) -> None:
        """Abort the job; if it has ended it does not change.

        >>> import time
        >>> job = cloud.call(time.sleep, 600)
        >>> job.kill()
        >>> cloud.wait_for.status(job, "killed", timeout=60)
        'killed'
        """
        self._client().kill(int(self))

    @of_users
    def logs(self, *, follow: bool = False, stream: str = "stdout") -> Iterator[str]:
        r"""Iterate over what the job has written, piece by piece.

        Args:
            follow: Go on until the job has ended; otherwise only what there is now.
            stream: "stdout", "stderr" or "logging".

        Raises:
            CloudException: When there is no such stream or job.

        >>> job = cloud.call(print, "hello")
        >>> "".join(job.logs(follow=True))
        'hello\n'
        """
        from cloud._jobs.info import log_pieces  # noqa: PLC0415 - few scripts need it

        if stream not in ("stdout", "stderr", "logging"):
            raise CloudValueError(f"stream must be stdout, stderr or logging, not {stream!r:.80}.")
        return log_pieces(self._client, int(self), stream, follow=follow)

    @of_users
    def stream(self, start: int = 0, timeout: float | None = None) -> ValueStream:
        """Iterate, by `for` or `async for`, over the values of a job of `cloud.stream` as it runs.

        Each value is read once: the iterator that began last reads, and an earlier one raises.

        Args:
            start: The position of the first value, which was not read before.
            timeout: How many seconds to wait for each value; None for no limit.

        Raises:
            CloudException: From the iteration: what the job's function raised, or the value at
                `start` was read before.
            CloudTimeoutError: From the iteration, when the timeout is reached.

        >>> list(cloud.stream(range, 3).job.stream())
        [0, 1, 2]
        """
        return self._client().stream(int(self), start, timeout)

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait in an event loop for what `result` returns or raises.

        >>> import asyncio
        >>> async def main():
        ...     return await cloud.call(abs, -1)
        >>> asyncio.run(main())
        1
        """
        from cloud._jobs.awaited import in_loop  # noqa: PLC0415 - most programs have no loop

        def start(wake: Callable[[CloudException | None], None]) -> None:
            self._client().when_ended(int(self), lambda *ended: wake(self.keep(*ended)))

        with BORDER:
            if "_error" not in self.__dict__:
                error = yield from in_loop(start)
                if error is not None:
                    raise error
            return self.result()

    def keep(self, value: Any, error: CloudException | None) -> CloudException | None:
        """Keep how the job ended, which does not change; return an error that is not about that."""
        if error is not None and error.status is None:
            return error
        cause = error and error.__cause__
        self.__dict__.update(_value=value, _error=error, _trace=cause and cause.__traceback__)
        return None

    def _client(self) -> JobOwner:
        return client_of(self.owner)

    def __repr__(self) -> str:
        return f"Job({int(self)})"

    __str__ = int.__repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)

    def __copy__(self) -> Job:
        return self

    def __deepcopy__(self, _: object) -> Job:
        return self

    def __picloud_argument__(self) -> tuple[Any, ...]:
        """Reduce it for the job that it is an argument of."""
        needs = PICKLING.needs
        if needs is not None and needs.jobs_as_values:
            return value_reduced(self, needs)
        return Job, (int(self),)

    def _repr_html_(self) -> str:
        from cloud._display.job_row import job_row  # noqa: PLC0415 - for notebooks only

        try:
            values = self.info(["status", "function", "label", "runtime"])
        except CloudException as error:
            values = {"status": str(error)}
        return job_row(f"Job {int(self)}", values)


class Jobs(OwnedJids):
    """Jobs with consecutive jids, as `cloud.map` returns them; a sequence of `Job`.

    It is used as a range: it is equal to the range of its jids, takes no memory, and whatever takes
    jids takes it. In the arguments and the function of a call or map it arrives as `Jobs`; other
    pickles hold a range.

    Args:
        jids: A range of jids of the account in use, with step 1.

    Raises:
        CloudTypeError: When it is not such a range.

    >>> jobs = cloud.map(abs, [-1, 2, -3])
    >>> jobs.result()
    [1, 2, 3]
    >>> jobs[1].result()
    2
    >>> jobs == range(jobs[0], jobs[0] + 3)
    True
    """

    __slots__ = ()

    def __init__(self, jids: range, kind: type[Job] = Job) -> None:
        if not isinstance(jids, range) or jids.step != 1:
            with BORDER:
                raise CloudTypeError(f"Jobs are given as a range with step 1, not {jids!r:.80}.")
        super().__init__(jids, kind)

    @of_users
    def result(self, timeout: float | None = None, *, return_exceptions: bool = False) -> list[Any]:
        """Wait for all jobs to end and return their results, in order; see `Job.result`.

        Args:
            timeout: How many seconds to wait; None for no limit.
            return_exceptions: Put the exceptions of jobs that failed in place of their results.

        Raises:
            Exception: What the first job that failed raised, as for `Job.result`.
            CloudTimeoutError: When the timeout is reached.
        """
        client = self._client()
        values: list[Any] = client.result(
            self._span,
            timeout,
            return_exceptions=return_exceptions,
            original=client.raises_original,
            show=True,
        )
        return values

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait in an event loop for what `result` returns or raises.

        >>> import asyncio
        >>> async def main():
        ...     return await cloud.map(abs, [-1, 2])
        >>> asyncio.run(main())
        [1, 2]
        """
        from cloud._jobs.awaited import in_thread  # noqa: PLC0415 - most programs have no loop

        with BORDER:
            client = self._client()
            original = client.raises_original
            return (yield from in_thread(lambda: client.result(self._span, original=original)))

    @property
    def value(self) -> JobValue:
        """In the arguments of another job, which then waits for these: the list of results."""
        return JobValue(self)

    @property
    @of_users
    def status(self) -> list[str]:
        """The statuses now, in order; one request."""
        return list(self._client().status(self._span))

    @of_users
    def done(self) -> bool:
        """Return whether all jobs have ended, well or not; one request."""
        return ENDED.issuperset(self.status)

    @of_users
    def running(self) -> bool:
        """Return whether any of the jobs is being run; one request."""
        return Status.PROCESSING in self.status

    @of_users
    def info(self, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """Return what is known about the jobs, by jid; see `cloud.info`."""
        return self._client().info(self._span, info_requested)

    @of_users
    def kill(self) -> None:
        """Abort the jobs; those that have ended do not change."""
        self._client().kill(self._span)

    def _client(self) -> JobOwner:
        return client_of(self.owner)

    def __repr__(self) -> str:
        return f"Jobs({self._span!r})"

    def __str__(self) -> str:
        return str(self._span)

    def __reduce__(self) -> tuple[Any, ...]:
        return range, (self.start, self.stop)

    def __picloud_argument__(self) -> tuple[Any, ...]:
        """Reduce them for the job that they are an argument of."""
        needs = PICKLING.needs
        if needs is not None and needs.jobs_as_values:
            return value_reduced(self, needs)
        return Jobs, (self._span,)

    def _repr_html_(self) -> str:
        from cloud._display.job_row import counted, job_row  # noqa: PLC0415 - for notebooks only

        try:
            values = {"status": counted(Counter(self.status))}
        except CloudException as error:
            values = {"status": str(error)}
        return job_row(f"{len(self):,} jobs, {self.start}-{self.stop - 1}", values)


def client_of(owner: JobOwner | None) -> JobOwner:
    """Return the client that made a job, or the one in use, ready for a request."""
    if owner is None:
        assert Current.client is not None
        return Current.client()
    return owner.ready()


def kind_of(owner: JobOwner) -> type[Job]:
    """Return the class of the jobs that a client makes."""
    made = type("Job", (Job,), {"owner": owner, "__doc__": Job.__doc__})
    made.__module__ = Job.__module__
    return made
