"""`cloud.pool_interface`: the functions of a `multiprocessing.Pool`, run as jobs.

    from cloud import pool_interface as pool

    pool.map(abs, [-1, 2])  # [1, 2]
    pool.apply_async(pow, (2, 10)).get(timeout=60)  # 1024

As in the original client, there is no pool to make, and a time-out is a `CloudTimeoutError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud_model.job import ENDED

from cloud._client.current import client
from cloud._config.border import UsersIterator, of_users
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cloud._jobs.job import Jobs

__all__ = [
    "AsyncResult",
    "apply",
    "apply_async",
    "imap",
    "imap_unordered",
    "map",
    "map_async",
]

_DEFAULT_AHEAD = 10


class AsyncResult:
    """The result of jobs that may still be running, as `multiprocessing.pool.AsyncResult`.

    Args:
        jids: The jid of one job, or the jids of a map.
    """

    def __init__(self, jids: int | Jobs) -> None:
        self._jids = jids

    @of_users
    def get(self, timeout: float | None = None) -> Any:
        """Wait for the result, or the list of results.

        Raises:
            CloudException: What the first failed job failed with.
            CloudTimeoutError: When they have not ended after `timeout` seconds.
        """
        return client().result(self._jids, timeout, show=True)

    @of_users
    def wait(self, timeout: float | None = None) -> None:
        """Wait until the jobs have ended, well or not.

        Raises:
            CloudTimeoutError: When they have not ended after `timeout` seconds.
        """
        client().join(self._jids, timeout, ignore_errors=True, show=True)

    @of_users
    def ready(self) -> bool:
        """Return whether the jobs have ended."""
        return all(status in ENDED for status in self._statuses())

    @of_users
    def successful(self) -> bool:
        """Return whether all jobs are done.

        Raises:
            AssertionError: When one has not ended, as `multiprocessing` of that time.
        """
        statuses = self._statuses()
        if not all(status in ENDED for status in statuses):
            raise AssertionError("the jobs have not ended")
        return all(status == "done" for status in statuses)

    def _statuses(self) -> list[str]:
        found = client().status(self._jids)
        return [found] if isinstance(found, str) else found


@of_users
def apply(
    func: Callable[..., Any], args: Iterable[Any] = (), kwds: Mapping[str, Any] | None = None
) -> Any:
    """Run `func(*args, **kwds)` as a job and return its result."""
    return apply_async(func, args, kwds).get()


@of_users
def apply_async(
    func: Callable[..., Any],
    args: Iterable[Any] = (),
    kwds: Mapping[str, Any] | None = None,
    callback: Callable[[Any], Any] | None = None,
) -> AsyncResult:
    """Run `func(*args, **kwds)` as a job; `callback` is called with its result."""
    keywords = dict(kwds or {})
    if callback is not None:
        keywords["_callback"] = lambda jid: callback(client().result(jid))
    return AsyncResult(client().call(func, *args, **keywords))


@of_users
def map(  # noqa: A001 - it is the pool's map
    func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int | None = None
) -> list[Any]:
    """Run `func` for each item as a job and return the results; `chunksize` has no effect."""
    results: list[Any] = map_async(func, iterable, chunksize).get()
    return results


@of_users
def map_async(
    func: Callable[[Any], Any],
    iterable: Iterable[Any],
    chunksize: int | None = None,
    callback: None = None,
) -> AsyncResult:
    """Run `func` for each item as a job; `chunksize` has no effect.

    Raises:
        CloudException: When there is a callback, which the original did not take either.
    """
    del chunksize
    if callback is not None:
        raise CloudValueError("map_async takes no callback; pass _callback to cloud.map instead.")
    return AsyncResult(client().map(func, iterable))


@of_users
def imap(
    func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = _DEFAULT_AHEAD
) -> Iterator[Any]:
    """Run `func` for each item as a job; iterate over the results in order.

    Args:
        func: What to run.
        iterable: Its arguments.
        chunksize: How many large results are fetched at once.
    """
    jids = client().map(func, iterable)
    return UsersIterator(client().iresult(jids, num_in_parallel=chunksize, show=True))


@of_users
def imap_unordered(
    func: Callable[[Any], Any], iterable: Iterable[Any], chunksize: int = _DEFAULT_AHEAD
) -> Iterator[Any]:
    """As `imap`: results come in order, which is one of the orders that are allowed."""
    return imap(func, iterable, chunksize)
