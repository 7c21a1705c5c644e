"""`cloud.mp`: the functions of `cloud`, with jobs that run in processes of this machine.

    import cloud

    jids = cloud.mp.map(abs, [-1, 2, -3])
    cloud.mp.result(jids)  # [1, 2, 3]

The first call starts a server for this script, as `cloud.start_simulator()` does; the functions of
`cloud` itself keep using their own server. The two servers have separate jids. A job that calls
`cloud` uses the server that runs it: within `cloud.mp`, this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloud._client import functions
from cloud._client.current import CurrentClient, running_on_cloud  # noqa: F401 - a twin
from cloud._config.border import UsersIterator, of_users
from cloud._config.configuration import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from cloud._jobs.job import Job, Jobs
    from cloud._jobs.listing import SubmittedJobs

_ELSEWHERE = ("Job", "Jobs", "config", "set_dependency_whitelist", "setkey", "start_simulator")
"""Members of `cloud` without meaning for a server that always belongs to this script."""
__all__ = [name for name in functions.__all__ if name not in _ELSEWHERE]

_current = CurrentClient("cloud.mp")


def client() -> Client:
    """Return the client that these functions use; start the server if there is none.

    Raises:
        CloudException: When the server cannot start; the message says what is missing.
    """
    return _current.start_simulator(config.num_procs)


@of_users
def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job:
    """Run a function as a job on this machine; see `cloud.call`."""
    return client().call(func, *args, **kwargs)


@of_users
def map(  # noqa: A001 - it is the cloud's map
    func: Callable[..., Any], /, *iterables: Any, **kwargs: Any
) -> Jobs:
    """Run a function once for each item, on this machine; see `cloud.map`."""
    return client().map(func, *iterables, **kwargs)


@of_users
def status(jids: Any) -> Any:
    """Return the status of jobs; see `cloud.status`."""
    return client().status(jids)


@of_users
def join(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> None:
    """Wait until jobs have ended; see `cloud.join`."""
    client().join(jids, timeout, ignore_errors, deadlock_check, show=True)


@of_users
def result(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
    *,
    return_exceptions: bool = False,
) -> Any:
    """Wait for jobs to end and return their results; see `cloud.result`."""
    return client().result(
        jids,
        timeout,
        ignore_errors,
        deadlock_check,
        return_exceptions=return_exceptions,
        show=True,
    )


@of_users
def iresult(
    jids: Any,
    timeout: float | None = None,
    num_in_parallel: int = 10,
    ignore_errors: bool = False,
    *,
    return_exceptions: bool = False,
    unordered: bool = False,
) -> Iterator[Any]:
    """Iterate over results in the order of the jids, or as jobs end; see `cloud.iresult`."""
    results = client().iresult(
        jids,
        timeout,
        num_in_parallel,
        ignore_errors,
        return_exceptions=return_exceptions,
        unordered=unordered,
        show=True,
    )
    return UsersIterator(results)


@of_users
def iresult_unordered(jids: Any) -> Iterator[tuple[int, Any]]:
    """Iterate over pairs of jid and result as jobs end; see `cloud.iresult_unordered`."""
    return UsersIterator(client().iresult_unordered(jids, show=True))


@of_users
def info(jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
    """Return what is known about jobs besides their results; see `cloud.info`."""
    return client().info(jids, info_requested)


@of_users
def jobs(
    label: str | None = None,
    status: Any = None,
    since: Any = None,
    function: Any = None,
    limit: int = 100,
    *,
    env: str | None = None,
    parent: int | str | None = None,
    text: str | None = None,
) -> list[SubmittedJobs]:
    """List the jobs of this machine; see `cloud.jobs`."""
    from cloud._jobs.listing import JobFilter  # noqa: PLC0415 - as in `cloud.jobs`

    wanted = JobFilter(
        label=label,
        status=status,
        since=since,
        function=function,
        env=env,
        parent=parent,
        text=text,
    )
    return client().jobs(wanted, limit)


@of_users
def delete(jids: Any) -> None:
    """Delete the data of finished jobs; see `cloud.delete`."""
    client().delete(jids)


@of_users
def kill(jids: Any = None) -> None:
    """Abort jobs; see `cloud.kill`."""
    client().kill(jids)


def is_simulated() -> bool:
    """Return False: these jobs do not count as simulated, though it is the same server."""
    return False


@of_users
def connection_info() -> dict[str, Any]:
    """Return `server_url`, `api_key` (its id, never the secret) and `connection_type`."""
    return client().address.connection_info("multiprocessing")


def close() -> None:
    """Stop the server and all its jobs; the next call starts another one."""
    _current.close()


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
