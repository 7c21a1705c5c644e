"""The functions of `import cloud`; each delegates to the current client."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cloud._client.current import client, config, current, running_on_cloud
from cloud._packing import module_source
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> int:
    """Run a function as a job on the cloud. Returns at once.

    Args:
        func: What to run.
        args: Its positional arguments.
        kwargs: Its keyword arguments; those that begin with an underscore are options: `_type`
            (core type), `_cores`, `_env`, `_vol`, `_label`, `_priority` (lower runs first),
            `_restartable`, `_depends_on` (jids to wait for), `_depends_on_errors` ('abort' or
            'ignore'), `_max_runtime` (minutes), `_profile`, `_kill_process`, `_os_env_vars`,
            `_callback`, `_callback_on_error` (called here with the jid), `_fast_serialization`
            (0, 1 or 2), `_seed` (gives each job its own reproducible random numbers).

    Returns:
        The jid (job id) of the new job.

    Raises:
        CloudException: When it cannot be sent.
    """
    return client().call(func, *args, **kwargs)


def map(  # noqa: A001 - it is the cloud's map
    func: Callable[..., Any], /, *iterables: Any, **kwargs: Any
) -> range:
    """Run a function once for each item of the iterables, each time as a job of its own.

    Args:
        func: What to run.
        iterables: Its positional arguments, item by item; where one is shorter, None is passed.
        kwargs: Keyword arguments that every job gets; those that begin with an underscore are
            options, as in `call`.

    Returns:
        The jids, in the order of the items.

    Raises:
        CloudException: When it cannot be sent.
    """
    return client().map(func, *iterables, **kwargs)


def status(jids: Any) -> Any:
    """The status of a job: waiting, queued, processing, done, error, killed or stalled.

    Args:
        jids: One jid, or any iterable of them.

    Returns:
        The status, or a list of them in the order asked.
    """
    return client().status(jids)


def join(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> None:
    """Wait until jobs have ended.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Longest time to wait, in seconds; None is for ever.
        ignore_errors: Do not raise for jobs that failed.
        deadlock_check: Taken for the sake of old scripts: the platform finds deadlocks itself.

    Raises:
        CloudException: What the first job that failed, in the order asked, failed with.
        CloudTimeoutError: When the time is over first; its `jid` names the unfinished jobs.
    """
    client().join(jids, timeout, ignore_errors, deadlock_check)


def result(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> Any:
    """Wait for jobs to end and return what their functions returned.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Longest time to wait, in seconds; None is for ever.
        ignore_errors: Do not raise for jobs that failed; their CloudException takes the place of
            the result.
        deadlock_check: Taken for the sake of old scripts: the platform finds deadlocks itself.

    Returns:
        The result, or a list of them in the order asked.

    Raises:
        CloudException: What the first job that failed, in the order asked, failed with; the job's
            own exception is its `__cause__` where it could be pickled.
        CloudTimeoutError: When the time is over first; its `jid` names the unfinished jobs.
    """
    return client().result(jids, timeout, ignore_errors, deadlock_check)


def iresult(
    jids: Any,
    timeout: float | None = None,
    num_in_parallel: int = 10,
    ignore_errors: bool = False,
) -> Iterator[Any]:
    """Results one by one, in the order asked, while jobs behind them still run.

    However many jobs there are, only a few megabytes of results are held at a time.

    Args:
        jids: One jid, or any iterable of them.
        timeout: Longest time to wait for each result, in seconds; None is for ever.
        num_in_parallel: How many large results are fetched at once; 0 is the most, 64.
        ignore_errors: Do not raise for jobs that failed; their CloudException takes the place of
            the result.

    Returns:
        An iterator. Where a job failed `next` raises, and goes on behind it the next time.

    Raises:
        CloudException: What a job failed with, when it is its turn.
        CloudTimeoutError: When a result does not come in time; `next` waits for it again.
    """
    return client().iresult(jids, timeout, num_in_parallel, ignore_errors)


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
    return client().iresult_unordered(jids)


def info(jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
    """What is known of jobs beside their results, also while they run.

    Args:
        jids: One jid, or any iterable of them.
        info_requested: What to tell: one name or a sequence of them, or "all". By default
            `status`, `stdout`, `stderr` and `runtime`. There are: `status`; `stdout`, `stderr`,
            `logging` (the last 64k characters); `pilog` (the platform's own events), `why` (what it
            waits for), `syslog`, `exception` (the remote traceback); `runtime` (seconds);
            `created`, `finished` (times); `env`, `vol`, `function`, `label`, `args`, `kwargs`,
            `func_body`, `attributes`; `profile` (with `_profile`); `cputime.user`,
            `cputime.system` (seconds); `memory.usage`, `memory.max_usage`, `swap.usage`,
            `swap.max_usage`, `disk.usage` (bytes); `memory.failcnt`, `cpu_percentage`, `ports`,
            `samples`. `cputime`, `memory`, `swap` and `disk` stand for all that begin so. What is
            not known is None.

    Returns:
        A dict by jid, each value a dict by name.

    Raises:
        CloudException: When a name is none of these, or a job was deleted or never was.
    """
    return client().info(jids, info_requested)


def delete(jids: Any) -> None:
    """Remove what finished jobs left on the server: results, output, arguments.

    Their status and times are kept for the accounts; to ask for a deleted job is an error, to
    delete it again is none.

    Args:
        jids: One jid, or any iterable of them.

    Raises:
        CloudException: When one of them has not finished; then nothing is deleted.
    """
    client().delete(jids)


def kill(jids: Any = None) -> None:
    """Abort jobs; those that have ended stay as they are.

    Args:
        jids: One jid, or any iterable of them; None for all your unfinished jobs.
    """
    client().kill(jids)


def setkey(
    api_key: Any = None,
    api_secretkey: str | None = None,
    server_url: str | None = None,
    restart: bool = False,
    immutable: bool = False,
) -> None:
    """Say which API key, and which server, the calls that follow use.

    Args:
        api_key: The whole key `pk_<id>_<secret>`, or only its id; None for the environment's or
            the profile's.
        api_secretkey: The secret, where `api_key` is only the id.
        server_url: The server; by default the one said before, or the environment's or profile's.
        restart: Accepted for old scripts; the connection is always made anew.
        immutable: Ignore later calls of `setkey` in this process.
    """
    del restart
    key = api_key if api_secretkey is None else f"pk_{api_key}_{api_secretkey}"
    current.choose(server_url, None if key is None else str(key), immutable=immutable)


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


def start_simulator(force_restart: bool = False) -> None:
    """Let the calls that follow run on this machine, in a server that ends with this script.

    Args:
        force_restart: Replace a simulator that runs already; its jobs are gone then.

    Raises:
        CloudException: When it cannot start; says what is missing.
    """
    current.start_simulator(force_restart=force_restart)


def is_simulated() -> bool:
    """Whether jobs run in the simulator."""
    return current.simulator is not None


def connection_info() -> dict[str, Any]:
    """Where jobs go: `server_url`, `api_key` (its id, never the secret), `connection_type`."""
    address = client().address
    kind = "simulator" if is_simulated() else address.url.partition(":")[0]
    return address.connection_info(kind)


def close() -> None:
    """Give back connections and stop the simulator; the next call opens what it needs anew."""
    current.close()
