"""`cloud.Pool`: jobs behind the methods of `multiprocessing.Pool`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from picloud_model.job import ENDED, Status

from cloud._arguments.option_values import seconds, whole
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._futures.completed import wait
from cloud._futures.executor import Executor
from cloud._jobs.job import Jobs
from cloud.errors import CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cloud._jobs.job import Job

_NO_KEYWORDS: Final[Mapping[str, Any]] = MappingProxyType({})


def _late(error: CloudTimeoutError) -> Exception:
    """Return the error that programs for `multiprocessing.Pool` expect after a timeout."""
    from multiprocessing import TimeoutError  # noqa: A004, PLC0415 - few programs need it

    return TimeoutError(str(error))


class PoolResults(Iterator[Any]):
    """Iterates over the results of a pool's jobs, each of which ran some items.

    After an error it goes on with the next job.

    Args:
        jobs: The jobs.
        unordered: Whether results come in the order in which the jobs end.
    """

    def __init__(self, jobs: Jobs, *, unordered: bool) -> None:
        used = client()
        self._chunks = used.iresult(jobs, original=used.raises_original, unordered=unordered)
        self._items: Iterator[Any] = iter(())

    @of_users
    def __next__(self) -> Any:
        return self.next()

    @of_users
    def next(self, timeout: float | None = None) -> Any:
        """Return the next result.

        Args:
            timeout: How many seconds to wait for it; None for no limit.

        Raises:
            multiprocessing.TimeoutError: When it is not there in time; the next call waits again.
            StopIteration: When there is none.
        """
        for item in self._items:
            return item
        try:
            self._items = iter(self._chunks.within(seconds(timeout)))
        except CloudTimeoutError as error:
            raise _late(error) from None
        return next(self._items)


class JobPool:
    """Runs functions as jobs, for code that is written for `multiprocessing.Pool`.

    Args:
        processes: Accepted for programs that pass it, without effect: the server decides how many
            jobs run at once.
        initializer: Is called in each job, before its function.
        initargs: Its arguments.
        maxtasksperchild: Accepted, without effect.
        options: Options of all jobs, as for `cloud.call`: `_type`, `_cores`, `_label`, ...

    Raises:
        CloudException: When an option is unknown or invalid.

    >>> with cloud.Pool() as pool:
    ...     pool.map(abs, [-1, 2]), pool.apply_async(pow, (2, 10)).get()
    ([1, 2], 1024)
    """

    @of_users
    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        **options: Any,
    ) -> None:
        del processes, maxtasksperchild
        self._executor = Executor(initializer=initializer, initargs=initargs, **options)
        self._jobs: list[Job | Jobs] = []
        self._is_closed = False

    @of_users
    def apply(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = _NO_KEYWORDS,
    ) -> Any:
        """Run a function as a job; return its result."""
        return self.apply_async(func, args, kwds).get()

    @of_users
    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = _NO_KEYWORDS,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> PoolResult:
        """Run a function as a job; return immediately.

        Args:
            func: The function.
            args: Its positional arguments.
            kwds: Its keyword arguments.
            callback: Is called with the result, in another thread.
            error_callback: Is called with the exception, in another thread.

        Raises:
            ValueError: After `close` or `terminate`.
        """
        self._check_open()
        job = self._executor.submit(func, *args, **kwds).job
        self._jobs.append(job)
        return PoolResult(job, callback, error_callback)

    @of_users
    def map(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
    ) -> list[Any]:
        """Run a function for each item; return the results in order.

        Args:
            func: The function.
            iterable: The items, which are read at once.
            chunksize: How many items one job runs; 1 by default.
        """
        results: list[Any] = self.map_async(func, iterable, chunksize).get()
        return results

    @of_users
    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> PoolResult:
        """Run a function for each item; return immediately; see `map` and `apply_async`."""
        chunks = self._submit(func, zip(iterable, strict=False), chunksize)
        return PoolResult(chunks, callback, error_callback)

    @of_users
    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
    ) -> list[Any]:
        """Run a function for each tuple of arguments; return the results in order."""
        results: list[Any] = self.starmap_async(func, iterable, chunksize).get()
        return results

    @of_users
    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> PoolResult:
        """Run a function for each tuple of arguments; return immediately; see `map_async`."""
        chunks = self._submit(func, map(tuple, iterable), chunksize)
        return PoolResult(chunks, callback, error_callback)

    @of_users
    def imap(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> PoolResults:
        """Run a function for each item; iterate over the results in order, as they arrive."""
        jobs = self._submit(func, zip(iterable, strict=False), chunksize)
        return PoolResults(jobs, unordered=False)

    @of_users
    def imap_unordered(
        self, func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = 1
    ) -> PoolResults:
        """Run a function for each item; iterate over the results in the order in which jobs end."""
        jobs = self._submit(func, zip(iterable, strict=False), chunksize)
        return PoolResults(jobs, unordered=True)

    def close(self) -> None:
        """Accept no further functions."""
        self._is_closed = True

    @of_users
    def terminate(self) -> None:
        """Accept no further functions, and abort the jobs that have not ended."""
        self.close()
        jobs, self._jobs = self._jobs, []
        if jobs:
            client().kill(jobs)

    @of_users
    def join(self) -> None:
        """Wait for all jobs to end.

        Raises:
            ValueError: Before `close` or `terminate`.
        """
        if not self._is_closed:
            raise CloudValueError("Pool is still running: call close or terminate first.")
        self._executor.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def _submit(
        self, func: Callable[..., Any], items: Iterable[tuple[Any, ...]], chunksize: int | None
    ) -> Jobs:
        self._check_open()
        size = whole(1 if chunksize is None else chunksize)
        if size is None or size < 1:
            raise CloudValueError(
                f"chunksize must be a whole number from 1, not {chunksize!r:.80}."
            )
        jobs = self._executor.submit_chunks(func, list(items), size)
        self._jobs.append(jobs)
        return jobs

    def _check_open(self) -> None:
        if self._is_closed:
            raise CloudValueError("Pool not running: it was closed or terminated.")


class PoolResult:
    """The result of a job of a pool, or the results of all items of a map.

    Args:
        jobs: The job, or the jobs, each with a list of results.
        callback: Is called with the result, in another thread.
        error_callback: Is called with the exception, in another thread.
    """

    def __init__(
        self,
        jobs: Job | Jobs,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._jobs = jobs
        if callback is not None or error_callback is not None:
            arguments = callback, error_callback
            threading.Thread(target=self._call_back, args=arguments, daemon=True).start()

    @of_users
    def get(self, timeout: float | None = None) -> Any:
        """Wait for the result; raise what the function raised.

        Raises:
            multiprocessing.TimeoutError: When it is not there after `timeout` seconds.
        """
        try:
            value = self._jobs.result(timeout)
        except CloudTimeoutError as error:
            raise _late(error) from None
        return value if isinstance(self._jobs, int) else list(itertools.chain.from_iterable(value))

    @of_users
    def wait(self, timeout: float | None = None) -> None:
        """Wait for the jobs to end, or for `timeout` seconds."""
        wait(self._jobs if isinstance(self._jobs, Jobs) else [self._jobs], timeout)

    @of_users
    def ready(self) -> bool:
        """Return whether the jobs have ended."""
        return self._jobs.done()

    @of_users
    def successful(self) -> bool:
        """Return whether no job has failed.

        Raises:
            ValueError: When they have not ended.
        """
        shown = self._jobs.status
        statuses = {shown} if isinstance(shown, str) else {*shown}
        if not statuses <= ENDED:
            raise CloudValueError("The jobs have not ended.")
        return statuses <= {Status.DONE}

    def _call_back(
        self,
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        try:
            value = self.get()
        except Exception as error:  # noqa: BLE001 - what the function raised
            if error_callback is not None:
                error_callback(error)
        else:
            if callback is not None:
                callback(value)


Pool = JobPool
"""The name that users know; the driver has a `Pool` of slots."""
