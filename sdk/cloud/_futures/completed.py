"""`cloud.as_completed` and `cloud.wait`: as their namesakes of `concurrent.futures`, for jobs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_model import ranges
from picloud_model.job import Status

from cloud._arguments.jids import read_jids, without
from cloud._arguments.option_values import seconds
from cloud._client.current import client
from cloud._config.border import of_users
from cloud._display.show import Unwatched
from cloud._jobs.results import IN_PARALLEL, EndedJobs
from cloud._jobs.wait import WaitOptions
from cloud.errors import CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from asyncio import Future

    from cloud._client.client import Client
    from cloud._jobs.job import Job

_WHEN: Final = ("ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION")


class JobsWaited(NamedTuple):
    """The jobs that have ended, well or not, and those that have not."""

    done: set[Job]
    not_done: set[Job]


@of_users
def as_completed(
    jobs: Any, timeout: float | None = None, *, return_exceptions: bool = False
) -> EndingJobs:
    """Iterate over jobs in the order in which they end; a job that failed is one of them.

    The results arrive with the jobs: `result()` of each needs no further request.

    Args:
        jobs: An iterable of jobs, jids or ranges; one that occurs twice is returned once.
        timeout: How many seconds to wait for all of them; None for no limit.
        return_exceptions: Let `result()` of a job that failed return its exception.

    Returns:
        An iterator of `Job`, also for `async for`.

    Raises:
        CloudException: When a job does not exist.
        CloudTimeoutError: From the iteration, when the timeout is reached; `next` goes on then.

    >>> sorted(job.result() for job in cloud.as_completed(cloud.map(abs, [-1, 2])))
    [1, 2]
    """
    asked = client()
    order = read_jids(jobs, asked).order
    options = WaitOptions(timeout_s=seconds(timeout))
    ended = EndedJobs(
        order, asked.waiter, options, IN_PARALLEL, watch=Unwatched(), overall=timeout is not None
    )
    return EndingJobs(asked, ended, return_exceptions=return_exceptions)


class EndingJobs(Iterator[Any]):
    """An iterator of jobs in the order in which they end."""

    def __init__(self, asked: Client, ended: EndedJobs, *, return_exceptions: bool) -> None:
        self._client = asked
        self._returns_exceptions = return_exceptions
        self._ended = ended
        self._undelivered: list[Job] = []
        # A loop that gave up leaves a thread that still waits.
        self._lock = threading.RLock()

    @of_users
    def __next__(self) -> Job:
        with self._lock:
            if self._undelivered:
                return self._undelivered.pop()
            jid, value, error = next(self._ended)
        job = self._client.job(jid)
        job.keep(value, error)
        return _returning(job) if self._returns_exceptions else job

    def __aiter__(self) -> EndingJobs:
        return self

    async def __anext__(self) -> Job:
        from asyncio import get_running_loop  # noqa: PLC0415 - most programs have no loop

        if not self._undelivered and not self._ended.has_arrived:
            loop = get_running_loop()
            arrived: Future[None] = loop.create_future()

            def wake(error: BaseException | None) -> None:
                if not arrived.done():
                    arrived.set_exception(error) if error else arrived.set_result(None)

            def wait() -> None:
                error: BaseException | None = None
                try:
                    with self._lock:
                        self._undelivered.extend(itertools.islice(self, 1))
                except BaseException as caught:  # noqa: BLE001 - it is raised in the loop
                    error = caught
                with suppress(RuntimeError):  # the loop was closed meanwhile
                    loop.call_soon_threadsafe(wake, error)

            threading.Thread(target=wait, name="cloud as_completed", daemon=True).start()
            await arrived
        job = next(self, None)
        if job is None:
            raise StopAsyncIteration
        return job


@of_users
def wait(
    jobs: Any,
    timeout: float | None = None,
    return_when: str = "ALL_COMPLETED",
    *,
    return_exceptions: bool = False,
) -> JobsWaited:
    """Wait for jobs to end, well or not.

    Args:
        jobs: An iterable of jobs, jids or ranges.
        timeout: How many seconds to wait; None for no limit. It raises nothing.
        return_when: "ALL_COMPLETED", "FIRST_COMPLETED" or "FIRST_EXCEPTION" (when a job has failed,
            or all have ended).
        return_exceptions: Let `result()` of a job that failed return its exception.

    Returns:
        Two sets, `done` and `not_done`.

    Raises:
        CloudException: When a job does not exist, or `return_when` is none of the three.

    >>> done, not_done = cloud.wait(cloud.map(abs, [-1, 2]))
    >>> len(done), len(not_done)
    (2, 0)
    """
    if return_when not in _WHEN:
        raise CloudValueError(
            f"return_when must be one of {', '.join(_WHEN)}, not {return_when!r}."
        )
    asked, timeout_s = client(), seconds(timeout)
    order = read_jids(jobs, asked).order
    open_ = ranges.collapse(order)
    options = WaitOptions(timeout_s=timeout_s, payloads=False, ignore_errors=True)
    statuses: dict[int, str] = {}

    def attempt(hold_s: float) -> bool:
        nonlocal open_
        answer = asked.waiter.outcomes(open_, hold_s, options)
        statuses.update((outcome.jid, outcome.status) for outcome in answer.outcomes)
        open_ = without(open_, [outcome.jid for outcome in answer.outcomes])
        if return_when == "FIRST_COMPLETED" and statuses:
            return True
        failed = return_when == "FIRST_EXCEPTION" and {*statuses.values()} - {Status.DONE}
        return bool(failed) or not open_

    if open_:
        patience = asked.waiter.patience()
        try:
            with suppress(CloudTimeoutError):
                patience.until(attempt, patience.deadline(timeout_s), CloudTimeoutError)
        except KeyboardInterrupt:
            raise asked.waiter.interrupted(order, open_) from None
    done, not_done = set(map(asked.job, statuses)), set(map(asked.job, ranges.expand(open_)))
    if return_exceptions:
        done, not_done = set(map(_returning, done)), set(map(_returning, not_done))
    return JobsWaited(done, not_done)


def _returning(job: Job) -> Job:
    """Let `result` of a job return the exception that it would raise."""
    vars(job)["_returns_exceptions"] = True
    return job
