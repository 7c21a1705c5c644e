"""The functions of `import cloud`; each delegates to the current client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cloud._client.border import UsersIterator, of_users
from cloud._client.current import client, config, current, running_on_cloud
from cloud._jobs.listing import JobFilter
from cloud._packing import module_source
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._jobs.listing import SubmittedJobs

__all__ = [
    "call",
    "close",
    "config",
    "connection_info",
    "delete",
    "info",
    "iresult",
    "iresult_unordered",
    "is_simulated",
    "jobs",
    "join",
    "kill",
    "map",
    "result",
    "running_on_cloud",
    "set_dependency_whitelist",
    "setkey",
    "start_simulator",
    "status",
]


@of_users
def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> int:
    """Run a function as a job on the cloud; return immediately.

    Args:
        func: The function to run.
        args: Its positional arguments.
        kwargs: Its keyword arguments. Names that begin with an underscore are options: `_type`
            (core type), `_cores`, `_env`, `_vol`, `_label`, `_priority` (lower runs first),
            `_restartable`, `_depends_on` (jids to wait for), `_depends_on_errors` ('abort' or
            'ignore'), `_max_runtime` (minutes), `_profile`, `_kill_process`, `_os_env_vars`,
            `_callback`, `_callback_on_error` (called in this process with the jid),
            `_fast_serialization` (0, 1 or 2), `_seed` (gives each job reproducible random numbers
            of its own), `_cwd` (the directory that it runs in, on the embedded stack).

    Returns:
        The jid (job id) of the new job.

    Raises:
        CloudException: When the job cannot be sent.
    """
    return client().call(func, *args, **kwargs)


@of_users
def map(  # noqa: A001 - it is the cloud's map
    func: Callable[..., Any], /, *iterables: Any, **kwargs: Any
) -> range:
    """Run a function once for each item of the iterables, each time as a job of its own.

    Args:
        func: The function to run.
        iterables: Its positional arguments, item by item. None is passed for the missing items of
            shorter iterables.
        kwargs: Keyword arguments for every job. Names that begin with an underscore are options,
            as for `call`.

    Returns:
        The jids, in the order of the items.

    Raises:
        CloudException: When the jobs cannot be sent.
    """
    return client().map(func, *iterables, **kwargs)


@of_users
def status(jids: Any) -> Any:
    """Return the status of a job: waiting, queued, processing, done, error, killed or stalled.

    Args:
        jids: One jid, or any iterable of them.

    Returns:
        The status, or a list of statuses in the order of the jids.
    """
    return client().status(jids)


@of_users
def join(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> None:
    """Wait until jobs have ended.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Most seconds to wait; None for no limit.
        ignore_errors: Do not raise if a job fails.
        deadlock_check: Accepted for old scripts, without effect: the platform always detects
            deadlocks.

    Raises:
        CloudException: The error of the first failed job, in the order of the jids.
        CloudTimeoutError: When the timeout is reached; its `jid` names the unfinished jobs.
    """
    client().join(jids, timeout, ignore_errors, deadlock_check, show=True)


@of_users
def result(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> Any:
    """Wait for jobs to end and return what their functions returned.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Most seconds to wait; None for no limit.
        ignore_errors: Do not raise if a job fails: its CloudException takes the place of its
            result.
        deadlock_check: Accepted for old scripts, without effect: the platform always detects
            deadlocks.

    Returns:
        The result, or a list of results in the order of the jids.

    Raises:
        CloudException: The error of the first failed job, in the order of the jids. Its
            `__cause__` is the job's own exception, if that could be pickled.
        CloudTimeoutError: When the timeout is reached; its `jid` names the unfinished jobs.
    """
    return client().result(jids, timeout, ignore_errors, deadlock_check, show=True)


@of_users
def iresult(
    jids: Any,
    timeout: float | None = None,
    num_in_parallel: int = 10,
    ignore_errors: bool = False,
) -> Iterator[Any]:
    """Iterate over results in the order of the jids, while later jobs still run.

    However many jobs there are, only a few megabytes of results are in memory at a time.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Most seconds to wait for each result; None for no limit.
        num_in_parallel: How many large results are fetched at once; 0 means the most, 64.
        ignore_errors: Do not raise if a job fails: its CloudException takes the place of its
            result.

    Returns:
        An iterator. For a failed job `next` raises; the call after that goes on with the next job.

    Raises:
        CloudException: The error of a job, when it is its turn.
        CloudTimeoutError: When a result is not there in time; `next` waits for it again.
    """
    return UsersIterator(client().iresult(jids, timeout, num_in_parallel, ignore_errors, show=True))


@of_users
def iresult_unordered(jids: Any) -> Iterator[tuple[int, Any]]:
    """Iterate over pairs of jid and result, in the order in which the jobs end.

    Jobs that fail are left out; `status` names them.

    Args:
        jids: One jid, or any iterable of them; a jid that occurs twice has one result.

    Returns:
        An iterator of `(jid, result)`.

    Raises:
        CloudException: When a job does not exist, or its result cannot be read.
    """
    return UsersIterator(client().iresult_unordered(jids, show=True))


@of_users
def info(jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
    """Return what is known about jobs besides their results, also while they run.

    Args:
        jids: One jid, or any iterable of them.
        info_requested: The values to return: one name, a sequence of names, or "all". By default
            `status`, `stdout`, `stderr` and `runtime`. The names are: `status`; `stdout`, `stderr`,
            `logging` (the last 64k characters); `pilog` (the platform's own events), `why` (what
            the job waits for), `syslog`, `exception` (the remote traceback); `runtime` (seconds);
            `created`, `finished` (times); `env`, `vol`, `function`, `label`, `args`, `kwargs`,
            `func_body`, `attributes`; `profile` (with `_profile`); `cputime.user`,
            `cputime.system` (seconds); `memory.usage`, `memory.max_usage`, `swap.usage`,
            `swap.max_usage`, `disk.usage` (bytes); `memory.failcnt`, `cpu_percentage`, `ports`,
            `samples`. `cputime`, `memory`, `swap` and `disk` stand for all names that begin with
            them. A value that is not known is None.

    Returns:
        A dict with a dict for each jid, which has a value for each name.

    Raises:
        CloudException: When a name is unknown, or a job does not exist or was deleted.
    """
    return client().info(jids, info_requested)


@of_users
def jobs(
    label: str | None = None,
    status: Any = None,
    since: Any = None,
    function: Any = None,
    limit: int = 100,
) -> list[SubmittedJobs]:
    """List your jobs, newest first: one row for each call and each map.

    Args:
        label: Only jobs with this label.
        status: Only calls and maps with a job of this status, or of one of several.
        since: Only jobs created at or after this datetime, or within this timedelta or number of
            seconds before now.
        function: Only jobs of this function, or of the function with this name.
        limit: Most rows.

    Returns:
        Rows with `jids` (a range that `result`, `status`, `kill` and the like take), `function`,
        `label`, `statuses` (the number of jobs by status), `created`, `started` and `finished`
        (times, or None).

    Raises:
        CloudException: When a value is invalid.
    """
    wanted = JobFilter(label=label, status=status, since=since, function=function)
    return client().jobs(wanted, limit)


@of_users
def delete(jids: Any) -> None:
    """Delete the results, output and arguments of finished jobs from the server.

    Their status and times are kept for accounting. Requesting a deleted job is an error; deleting
    it again is not.

    Args:
        jids: One jid, or any iterable of them.

    Raises:
        CloudException: When a job has not finished; then no job is deleted.
    """
    client().delete(jids)


@of_users
def kill(jids: Any = None) -> None:
    """Abort jobs; jobs that have ended do not change.

    Args:
        jids: One jid, or any iterable of them; None for all your unfinished jobs.
    """
    client().kill(jids)


@of_users
def setkey(
    api_key: Any = None,
    api_secretkey: str | None = None,
    server_url: str | None = None,
    restart: bool = False,
    immutable: bool = False,
) -> None:
    """Choose the API key, and the server, for the calls that follow.

    Args:
        api_key: The whole key `pk_<id>_<secret>`, or only its id; None for the key of the
            environment or the profile.
        api_secretkey: The secret, if `api_key` is only the id.
        server_url: The server; by default the one chosen before, else that of the environment or
            the profile.
        restart: Accepted for old scripts, without effect: connections are always opened again.
        immutable: Ignore later calls of `setkey` in this process.
    """
    del restart
    key = api_key if api_secretkey is None else f"pk_{api_key}_{api_secretkey}"
    current.choose(server_url, None if key is None else str(key), immutable=immutable)


@of_users
def set_dependency_whitelist(whitelist: Iterable[str] | None) -> None:
    """Restrict which of your own modules are sent along with functions.

    A job that needs another one fails with an ImportError that names it.

    Args:
        whitelist: Names of modules and packages; what is inside a package may travel, too. None
            lifts the restriction.

    Raises:
        CloudException: When it is not an iterable of names.

    >>> set_dependency_whitelist(["mypackage", "settings"])
    >>> set_dependency_whitelist(None)
    """
    names = None if whitelist is None else _names(whitelist)
    module_source.allow_only(names)


def _names(whitelist: object) -> list[str]:
    if isinstance(whitelist, Iterable) and not isinstance(whitelist, str):
        names = list(whitelist)
        if all(isinstance(name, str) for name in names):
            return names
    raise CloudException(f"whitelist must be a list of module names, not {whitelist!r:.80}.")


@of_users
def start_simulator(force_restart: bool = False) -> None:
    """Run the jobs of the calls that follow on this machine, until this script ends.

    Args:
        force_restart: Replace a simulator that is running already, and lose its jobs.

    Raises:
        CloudException: When the simulator cannot start; the message says what is missing.
    """
    current.start_simulator(force_restart=force_restart)


def is_simulated() -> bool:
    """Whether jobs run in the simulator."""
    return current.simulator is not None


@of_users
def connection_info() -> dict[str, Any]:
    """Return `server_url`, `api_key` (its id, never the secret) and `connection_type`."""
    address = client().address
    kind = "simulator" if is_simulated() else address.url.partition(":")[0]
    return address.connection_info(kind)


def close() -> None:
    """Close connections and stop the simulator; the next call opens what it needs again."""
    current.close()
