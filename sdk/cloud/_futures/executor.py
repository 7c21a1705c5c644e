"""`cloud.Executor`: jobs behind the interface of `concurrent.futures`."""

from __future__ import annotations

import os
import threading
from concurrent.futures import BrokenExecutor, Future, InvalidStateError
from concurrent.futures import Executor as FuturesExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace
from picloud_model.job import ENDED, Status

from cloud._arguments.names import nearest
from cloud._arguments.option_values import whole
from cloud._arguments.options import NAMES, split_options
from cloud._client.current import client
from cloud._config.border import BORDER, of_users
from cloud.errors import CloudException, CloudTypeError, CloudValueError, raised_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from cloud._client.client import Client
    from cloud._jobs.job import Job, Jobs

_NOT_BEGUN: Final = (Status.WAITING, Status.QUEUED)
_SHUT_DOWN: Final = "cannot schedule new futures after shutdown"


class Executor(FuturesExecutor):
    """Runs functions as jobs, for code that is written for `concurrent.futures`.

    Args:
        max_workers: Accepted for programs that pass it, without effect: the server decides how many
            jobs run at once.
        initializer: Is called in each job, before its function: what it sets, such as a variable
            of the environment, would not outlive the job. If it raises, results raise a
            `concurrent.futures.BrokenExecutor`, and so does each later `submit`.
        initargs: Its arguments.
        options: Options of all jobs, as for `cloud.call`: `_type`, `_cores`, `_label`, ...

    Raises:
        CloudException: When an option is unknown or invalid, or `max_workers` is less than 1.

    >>> with cloud.Executor() as executor:
    ...     print(executor.submit(pow, 2, 10).result(), *executor.map(abs, [-1, 2, -3]))
    1024 1 2 3
    """

    @of_users
    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        **options: Any,
    ) -> None:
        if wrong := [name for name in options if not name.startswith("_")]:
            known = ("max_workers", "processes", "initializer", "initargs", *NAMES)
            raise CloudTypeError(f"There is no argument {wrong[0]!r}{nearest(wrong[0], known)}")
        if initializer is not None and not callable(initializer):
            raise CloudTypeError(f"initializer must be a function, not {initializer!r:.80}.")
        if max_workers is not None and ((count := whole(max_workers)) is None or count < 1):
            raise CloudValueError(f"max_workers must be greater than 0, not {max_workers!r:.80}.")
        self._max_workers = max_workers or os.cpu_count() or 1
        chosen, _ = split_options(options)
        self._options = replace(chosen, jobs_as_values=True)
        self._initializer = initializer
        self._initargs = tuple(initargs)
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._jids: list[int] = []
        self._is_shut_down = False
        self._broken: InitializerFailed | None = None

    @of_users
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> JobFuture:
        """Run a function as a job; return its future.

        All keyword arguments are the function's. Futures and jobs in the arguments, at any depth,
        arrive as their results: the new job begins when they are done.

        Raises:
            RuntimeError: After `shutdown`.
            BrokenExecutor: After the initializer has failed in a job.
            CloudException: When the job cannot be sent, as for `cloud.call`.
        """
        used = self._used()
        job = used.submit_call(self._prepared(fn), args, kwargs, self._options)
        with self._lock:
            self._jids.append(int(job))
        return JobFuture(used, job, self.note_error)

    @of_users
    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """Run a function for the items of the iterables; iterate over the results in order.

        It ends with the shortest iterable. When the iteration ends early, jobs that have not begun
        are killed.

        Args:
            fn: The function to run.
            iterables: Its arguments, which are read at once.
            timeout: How many seconds to wait for all results; None for no limit.
            chunksize: How many items one job runs.
            return_exceptions: Return the exception of an item in place of its result, and go on.

        Raises:
            RuntimeError: After `shutdown`.
            BrokenExecutor: After the initializer has failed in a job, also from the iteration.
            ValueError: When `chunksize` is less than 1.
            TimeoutError: From the iteration, when the timeout is reached.
        """
        size = whole(chunksize)
        if size is None or size < 1:
            raise CloudValueError("chunksize must be >= 1.")
        used = self._used()
        items = list(zip(*iterables, strict=False))
        if not items:
            return iter(())
        if size > 1:
            each = partial(_run_or_return, fn) if return_exceptions else fn
            jobs = self.submit_chunks(each, items, size)
        else:
            jobs = self._submit_map(used, fn, list(zip(*items, strict=True)))
        results = used.iresult(
            jobs,
            timeout,
            return_exceptions=return_exceptions,
            original=used.raises_original,
            overall=timeout is not None,
        )
        found = self._until_closed(used, jobs.range, results)
        return _flattened(found, len(items), size) if size > 1 else found

    def submit_chunks(
        self, fn: Callable[..., Any], items: Sequence[tuple[Any, ...]], size: int
    ) -> Jobs:
        """Run a function for tuples of arguments, some in each job; return the jobs.

        Args:
            fn: The function.
            items: The tuples.
            size: How many of them one job runs; its result is the list of their results.
        """
        chunks = [tuple(items[at : at + size]) for at in range(0, len(items), size)]
        return self._submit_map(self._used(), partial(_run_chunk, fn), [chunks])

    def _submit_map(self, used: Client, fn: Callable[..., Any], columns: Sequence[Any]) -> Jobs:
        jobs = used.submit_map(self._prepared(fn), columns, {}, self._options)
        with self._lock:
            self._jids.extend(jobs.range)
        return jobs

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no further functions.

        Args:
            wait: Whether to wait for the jobs to end.
            cancel_futures: Kill the jobs that have not begun.
        """
        with self._lock:
            self._is_shut_down = True
            jids, self._jids = self._jids, []
        if self._client is None or not jids:
            return
        if cancel_futures:
            _kill_queued(self._client, jids)
        if wait:
            self._client.join(jids, ignore_errors=True)

    def note_error(self, error: BaseException) -> None:
        """Refuse further functions if a job's error is that its initializer has failed."""
        if isinstance(error, InitializerFailed) and self._broken is None:
            import logging  # noqa: PLC0415 - initializers seldom fail

            self._broken = error
            # The executors of the standard library say so here, for futures that nobody asks.
            logging.getLogger("concurrent.futures").critical("%s", error)

    def _used(self) -> Client:
        if self._broken is not None:
            raise InitializerFailed(*self._broken.args)
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError(_SHUT_DOWN)
            if self._client is None:
                self._client = client()
        return self._client.ready()

    def _prepared(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if self._initializer is None:
            return fn
        return partial(_run_initialized, self._initializer, self._initargs, fn)

    def _until_closed(self, used: Client, jids: range, results: Iterator[Any]) -> Iterator[Any]:
        is_complete = False
        try:
            with BORDER:
                yield from results
            is_complete = True
        except InitializerFailed as error:
            self.note_error(error)
            raise
        finally:
            if not is_complete:
                _kill_queued(used, jids)


class JobFuture(Future[Any]):
    """The future of a job; `job` is its `Job`.

    It asks the server when it is asked; threads wait for it only if a callback was added or
    `concurrent.futures.wait` and the like wait for it.

    Args:
        used: The client that the job was submitted with.
        job: The job.
        note_error: Is called with the exception that the job has ended with.
    """

    def __init__(self, used: Client, job: Job, note_error: Callable[[BaseException], None]) -> None:
        super().__init__()
        self.job = job
        self._note_error = note_error
        self._client = used
        self._is_awaited = False
        self._trace: TracebackType | None = None
        # `wait` and `as_completed` of the standard library announce themselves in this list only.
        self._waiters: list[Any] = _Waiters(self._await)

    @of_users
    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result; raise what the function raised.

        Raises:
            CancelledError: When the job was killed.
            TimeoutError: When the timeout is reached.
        """
        self._learn(timeout)
        error = super().exception()
        if error is not None:
            # Each time it is raised, Python adds the frames that it passes.
            raise error.with_traceback(self._trace)
        return super().result()

    @of_users
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the job to end; return what the function raised, or None."""
        self._learn(timeout)
        return super().exception()

    @of_users
    def cancel(self) -> bool:
        """Kill the job, also if it runs; return False if it had ended."""
        if self.done():
            return super().cancelled()
        self.job.kill()
        if self.job.status in (Status.DONE, Status.ERROR):
            return False
        with suppress(InvalidStateError):  # another thread was faster
            self._set_cancelled()
        return True

    def cancelled(self) -> bool:
        """Return whether the job was killed."""
        return self.done() and super().cancelled()

    @of_users
    def running(self) -> bool:
        """Return whether the job is being run."""
        return not super().done() and self.job.running()

    @of_users
    def done(self) -> bool:
        """Return whether the job has ended or was killed."""
        if not super().done() and self.job.status in ENDED:
            self._learn(None)
        return super().done()

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Call a function with this future when the job has ended, in another thread."""
        super().add_done_callback(fn)
        self._await()

    def __picloud_argument__(self) -> tuple[Any, ...]:
        """Reduce it for the job that it is an argument of, where it is the result."""
        return self.job.value.__picloud_argument__()

    def _learn(self, timeout: float | None) -> None:
        if super().done():
            return
        try:
            value = self._client.ready().result(int(self.job), timeout, original=False)
        except CloudException as error:
            if error.status is None:
                raise
            self._settle(None, error)
        else:
            self._settle(value, None)

    def _await(self) -> None:
        if not self._is_awaited and not super().done():
            self._is_awaited = True
            self._client.when_ended(int(self.job), self._settle)

    def _settle(self, value: Any, error: CloudException | None) -> None:
        with suppress(InvalidStateError):  # another thread was faster
            if error is None:
                self.set_result(value)
            elif error.status == Status.KILLED:
                self._set_cancelled()
            else:
                chosen = raised_for(error, original=self._client.raises_original)
                self._trace = chosen.__traceback__ if chosen is not error else None
                self._note_error(chosen)
                self.set_exception(chosen)

    def _set_cancelled(self) -> None:
        super().cancel()
        with suppress(RuntimeError):
            self.set_running_or_notify_cancel()


class _Waiters(list[Any]):
    """The waiters of a future; the first one makes it wait for its job."""

    def __init__(self, begin: Callable[[], None]) -> None:
        super().__init__()
        self._begin = begin

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        self._begin()


class InitializerFailed(BrokenExecutor):
    """The initializer of an executor has raised in a job, so that no function can run."""


def _run_initialized(
    initializer: Callable[..., Any],
    initargs: Sequence[Any],
    fn: Callable[..., Any],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Run a function after the initializer."""
    try:
        initializer(*initargs)
    except Exception as error:
        raise InitializerFailed(
            f"the initializer failed: {type(error).__name__}: {error}"
        ) from error
    return fn(*args, **kwargs)


def _run_chunk(fn: Callable[..., Any], items: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run a function for some items."""
    return [fn(*item) for item in items]


def _run_or_return(fn: Callable[..., Any], *item: Any) -> Any:
    """Run a function for an item; return what it raises."""
    try:
        return fn(*item)
    except Exception as error:  # noqa: BLE001 - it is the item's result
        return error


def _flattened(found: Iterator[Any], count: int, size: int) -> Iterator[Any]:
    """Yield the results of so many items from those of chunks of a size.

    If a whole chunk has failed, its exception is that of each of its items.
    """
    for at, results in zip(range(0, count, size), found, strict=True):
        if isinstance(results, BaseException):
            yield from [results] * min(size, count - at)
        else:
            yield from results


def _kill_queued(used: Client, jids: Sequence[int]) -> None:
    """Kill those of some jobs that have not begun."""
    shown = zip(jids, used.status(jids), strict=True)
    if queued := [jid for jid, status in shown if status in _NOT_BEGUN]:
        used.kill(queued)
