"""The functions of `import cloud`; each delegates to the current client.

Names, arguments and defaults are those of the original client (version 2.8.5), except for `jobs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloud._client.connection import (
    close,
    connection_info,
    is_simulated,
    set_dependency_whitelist,
    setkey,
    start_simulator,
)
from cloud._client.current import client, running_on_cloud
from cloud._config.border import UsersIterator, of_users
from cloud._config.configuration import config
from cloud._jobs.job import Job, Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._jobs.listing import SubmittedJobs

__all__ = [
    "Job",
    "Jobs",
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
def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job:
    """Run a function as a job on the cloud; return immediately.

    Args:
        func: The function to run. It travels with your own modules that it needs.
        args: Its positional arguments.
        kwargs: Its keyword arguments. Names that begin with an underscore are options: `_type`
            (core type), `_cores`, `_env`, `_vol`, `_secrets`, `_label`, `_priority` (lower runs
            first), `_restartable`, `_depends_on` (jids to wait for), `_depends_on_errors` ('abort'
            or 'ignore'), `_max_runtime` (minutes), `_profile`, `_kill_process`, `_os_env_vars`,
            `_callback`, `_callback_on_error` (called in this process with the jid),
            `_fast_serialization` (0, 1 or 2), `_seed` (gives each job reproducible random numbers
            of its own), `_cwd` (the directory that it runs in, on the embedded stack), `_ports`
            (who may connect to ports of it: `{8000: "public"}`), `_on_done` (a URL to which the
            server posts when all jobs have ended).

    Returns:
        The new job: a `Job`, which is its jid (job id), a whole number from 1, serial in your
        account.

    Raises:
        CloudException: When the job cannot be sent: no server can be reached, an option is
            invalid, or the function or an argument cannot be pickled or has more than
            `cloud.config.max_transmit_data` bytes; the message says which part.
        CloudTypeError: When the function does not take these arguments.

    >>> jid = cloud.call(pow, 2, 10, _label="powers")
    >>> cloud.result(jid)
    1024
    """
    return client().call(func, *args, **kwargs)


@of_users
def map(  # noqa: A001 - it is the cloud's map
    func: Callable[..., Any], /, *iterables: Any, **kwargs: Any
) -> Jobs:
    """Run a function once for each item of the iterables, each time as a job of its own.

    Args:
        func: The function to run.
        iterables: Its positional arguments, item by item. None is passed for the missing items of
            shorter iterables.
        kwargs: Keyword arguments for every job. Names that begin with an underscore are options,
            as for `call`.

    Returns:
        The new jobs, in the order of the items: a sequence of `Job`, equal to the range of their
        jids.

    Raises:
        CloudException: When the jobs cannot be sent, as for `call`; the message names the item. No
            job is created then.
        CloudTypeError: When the function does not take these arguments.

    >>> jids = cloud.map(pow, [1, 2, 3], [2, 2, 2])
    >>> cloud.result(jids)
    [1, 4, 9]
    """
    return client().map(func, *iterables, **kwargs)


@of_users
def status(jids: Any) -> Any:
    """Return the status of a job: waiting, queued, processing, done, error, killed or stalled.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.

    Returns:
        The status of one jid; of an iterable a list of statuses, in the order of the jids.

    Raises:
        CloudException: When a job does not exist.

    >>> jids = cloud.map(abs, [-1, 2])
    >>> cloud.join(jids)
    >>> cloud.status(jids)
    ['done', 'done']
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
        jids: One jid, or an iterable of jids, ranges or both.
        timeout: How many seconds to wait; None for no limit.
        ignore_errors: Do not raise if a job fails; `status` says which ones did.
        deadlock_check: Accepted for old scripts, without effect: the platform always detects
            deadlocks.

    Raises:
        CloudException: The error of the first failed job, in the order of the jids.
        CloudTimeoutError: When the timeout is reached; its `jid` names the unfinished jobs.

    >>> jids = cloud.map(abs, [-1, 2])
    >>> cloud.join(jids, timeout=60)
    """
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
    """Wait for jobs to end and return what their functions returned.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.
        timeout: How many seconds to wait; None for no limit.
        ignore_errors: Do not raise if a job fails: its CloudException takes the place of its
            result.
        deadlock_check: Accepted for old scripts, without effect: the platform always detects
            deadlocks.
        return_exceptions: As `ignore_errors`; with `cloud.config.raise_original` what the job's
            function raised takes the place of its result.

    Returns:
        The result of one jid; of an iterable a list of results, in the order of the jids.

    Raises:
        CloudException: The error of the first failed job, in the order of the jids. Its
            `__cause__` is the job's own exception, if that could be pickled.
        CloudTimeoutError: When the timeout is reached; its `jid` names the unfinished jobs.

    >>> cloud.result(cloud.call(abs, -1), timeout=60)
    1
    >>> quotient, error = cloud.result(cloud.map(divmod, [7, 7], [2, 0]), ignore_errors=True)
    >>> quotient, type(error.__cause__)
    ((3, 1), <class 'ZeroDivisionError'>)
    """
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
    """Iterate over results in the order of the jids, while later jobs still run.

    However many jobs there are, only a few megabytes of results are in memory at a time.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.
        timeout: How many seconds to wait for each result; None for no limit.
        num_in_parallel: How many large results are fetched at once, up to 64; 0 for 64.
        ignore_errors: Do not raise if a job fails: its CloudException takes the place of its
            result.
        return_exceptions: As `ignore_errors`; with `cloud.config.raise_original` what the job's
            function raised takes the place of its result.
        unordered: Iterate in the order in which the jobs end; a jid that occurs twice has one
            result.

    Returns:
        An iterator. For a failed job `next` raises; the call after that goes on with the next job.

    Raises:
        CloudException: The error of a job, when it is its turn.
        CloudTimeoutError: When a job has not ended in time; `next` waits for it again.

    >>> for value in cloud.iresult(cloud.map(abs, [-1, 2])):
    ...     print(value)
    1
    2
    """
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
    """Iterate over pairs of jid and result, in the order in which the jobs end.

    Jobs that fail are left out; `status` names them.

    Args:
        jids: One jid, or an iterable of jids, ranges or both; a jid that occurs twice has one
            result.

    Returns:
        An iterator of `(jid, result)`.

    Raises:
        CloudException: When a job does not exist, or its result cannot be read.

    >>> jids = cloud.map(abs, [-1, 2])
    >>> dict(cloud.iresult_unordered(jids)) == {jids[0]: 1, jids[1]: 2}
    True
    """
    return UsersIterator(client().iresult_unordered(jids, show=True))


@of_users
def info(jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
    """Return what is known about jobs besides their results, also while they run.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.
        info_requested: The values to return: one name, a sequence of names, or "all". By default
            `status`, `stdout`, `stderr` and `runtime`. The names are: `status`; `stdout`, `stderr`,
            `logging` (the last 64k characters); `pilog` (the platform's own events), `why` (what
            the job waits for), `cause` (why it failed, in a word or two), `syslog`,
            `exception` (the remote traceback); `runtime` (seconds), `cost` (dollars); `created`,
            `finished` (times); `env`, `vol`, `function`, `label`, `args`, `kwargs`, `func_body`,
            `attributes`, `parent` (what made it), `depends_on` (ranges of jobs); `profile`,
            `profile.calls` (with `_profile`); `cputime.user`, `cputime.system` (seconds);
            `memory.usage`, `memory.max_usage`, `swap.usage`, `swap.max_usage`, `disk.usage`,
            `network.received`, `network.sent` (bytes); `memory.failcnt`, `cpu_percentage`,
            `ports`, `samples`. `cputime`, `memory`, `swap`, `disk` and `network` stand for all
            names that begin with them. A value that is not known is None.

    Returns:
        A dict with a dict for each jid, which has a value for each name.

    Raises:
        CloudException: When a name is unknown, or a job does not exist or was deleted.

    >>> jid = cloud.call(print, "hello")
    >>> cloud.join(jid)
    >>> cloud.info(jid, ["status", "stderr"])[jid]
    {'status': 'done', 'stderr': ''}
    """
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
    """List your jobs, newest first: one row for each call and each map.

    Args:
        label: Only jobs with this label.
        status: Only calls and maps with a job of this status, or of one of several.
        since: Only jobs created at or after this datetime, or within this timedelta or number of
            seconds before now.
        function: Only jobs of this function, or of the function with this name.
        limit: Maximum number of rows.
        env: Only jobs that run in the environment with this name; "" for those without one.
        parent: Only jobs that this made: a jid, "cron LABEL" or "rest LABEL".
        text: Only jobs with this text in the name of their function or in their label.

    Returns:
        Rows with `jids` (a range that `result`, `status`, `kill` and the like take), `function`,
        `label`, `statuses` (the number of jobs by status), `created`, `started` and `finished`
        (times, or None).

    Raises:
        CloudException: When a value is invalid.

    >>> jids = cloud.map(abs, range(3), _label="sizes")
    >>> cloud.jobs(label="sizes", limit=1)[0].jids == jids
    True
    """
    from cloud._jobs.listing import JobFilter  # noqa: PLC0415 - few scripts list jobs

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
    """Delete the results, output and arguments of finished jobs from the server.

    Their status and times are kept for accounting. Requesting a deleted job is an error; deleting
    it again is not.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.

    Raises:
        CloudException: When a job has not finished; then no job is deleted.

    >>> jid = cloud.call(abs, -1)
    >>> cloud.join(jid)
    >>> cloud.delete(jid)
    """
    client().delete(jids)


@of_users
def kill(jids: Any = None) -> None:
    """Abort jobs; jobs that have ended do not change.

    Args:
        jids: One jid, or an iterable of jids, ranges or both; None for all your unfinished jobs.

    Raises:
        CloudException: When a job does not exist.

    >>> import time
    >>> jid = cloud.call(time.sleep, 600)
    >>> cloud.kill(jid)
    >>> cloud.wait_for.status(jid, "killed", timeout=60)
    'killed'
    """
    client().kill(jids)
