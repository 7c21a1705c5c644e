"""The functions of `import cloud`: a film over the current client."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cloud._client.client import Client
from cloud._client.current_job import CurrentJob
from cloud._config import profile as profiles
from cloud._config.configuration import Config
from cloud._config.settings import Settings
from cloud._http.transport import ServerAddress
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.simulator import Simulator

config = Config()
"""Settings of this process: `cloud.config.max_transmit_data = 16_000_000`."""


class _Current:
    """The client the functions use, opened at the first need, and the simulator if there is one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Client | None = None
        self.simulator: Simulator | None = None
        self.url: str | None = None
        self.key: str | None = None
        self.job: CurrentJob | None = None


_current = _Current()


def client() -> Client:
    """The client that `cloud`'s functions use; opened now if there is none.

    Where it points is what was said last: `setkey` or `start_simulator`, else the environment, else
    the job that runs here, else the profile.

    Raises:
        CloudException: When no server is known.
    """
    found = _current.client
    if found is not None and _current.job is None:
        return found
    with _current.lock:
        if _current.client is None:
            if config.use_simulator and not running_on_cloud():
                start_simulator()
            else:
                _current.client = _opened()
        elif _current.job is not None:
            _current.client.renew(_current.job.address())
        assert _current.client is not None
        return _current.client


def known_address() -> ServerAddress:
    """The server and key that the next client is opened with, outside of a job.

    Raises:
        CloudException: When none is known.
    """
    settings = Settings.read()
    return _known_address(settings, _current.url or settings.url, _current.key or settings.api_key)


def _opened() -> Client:
    settings = Settings.read()
    url, key = _current.url or settings.url, _current.key or settings.api_key
    if not url and not key and (job := CurrentJob.here()) is not None:
        _current.job = job
        return Client(job.address(), config, line=job.line)
    return Client(_known_address(settings, url, key), config)


def _known_address(settings: Settings, url: str | None, key: str | None) -> ServerAddress:
    chosen = None
    if not (url and key):
        chosen = profiles.read(profiles.path(settings)).chosen(settings.profile)
    if url is None and chosen is not None:
        url = chosen.url
    if url is None:
        raise CloudException(
            "No PiCloud server is known; start one with `picloud up`, name one with "
            "`picloud setup`, or call cloud.start_simulator()."
        )
    # A profile's key goes to the profile's server and to no other.
    if key is None and chosen is not None and chosen.url.rstrip("/") == url.rstrip("/"):
        key = chosen.key
    if key is None:
        raise CloudException(
            f"There is no API key for {url}; run `picloud setup`, set PICLOUD_API_KEY, or call "
            "cloud.setkey()."
        )
    return ServerAddress(url, key)


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
            (0, 1 or 2).

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
        CloudTimeoutError: When the time is over first.
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
        ignore_errors: Do not raise for jobs that failed; their result is None.
        deadlock_check: Taken for the sake of old scripts: the platform finds deadlocks itself.

    Returns:
        The result, or a list of them in the order asked.

    Raises:
        CloudException: What the first job that failed, in the order asked, failed with; the job's
            own exception is its `__cause__` where it could be pickled.
        CloudTimeoutError: When the time is over first.
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
        num_in_parallel: How many large results are fetched at once.
        ignore_errors: Do not raise for jobs that failed; their result is None.

    Returns:
        An iterator. Where a job failed `next` raises, and goes on behind it the next time.

    Raises:
        CloudException: What a job failed with, when it is its turn.
        CloudTimeoutError: When a result does not come in time; `next` waits for it again.
    """
    return client().iresult(jids, timeout, num_in_parallel, ignore_errors)


def iresult_unordered(jids: Any) -> Iterator[Any]:
    """Results one by one as jobs end, whichever is first.

    Args:
        jids: One jid, or any iterable of them; of a jid that comes twice there is one result.

    Returns:
        An iterator. Where a job failed `next` raises, and goes on with the others the next time;
        the error's `jid` says which it was.

    Raises:
        CloudException: What a job failed with.
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
    api_key: Any = None, api_secretkey: str | None = None, server_url: str | None = None
) -> None:
    """Say which API key, and which server, the calls that follow use.

    Args:
        api_key: The whole key `pk_<id>_<secret>`, or only its id; None for the environment's or
            the profile's.
        api_secretkey: The secret, where `api_key` is only the id.
        server_url: The server; by default the one said before, or the environment's or profile's.
    """
    whole = api_key if api_secretkey is None else f"pk_{api_key}_{api_secretkey}"
    with _current.lock:
        close()
        _current.key = None if whole is None else str(whole)
        _current.url = server_url or _current.url


def start_simulator(force_restart: bool = False) -> None:
    """Let the calls that follow run on this machine, in a server that ends with this script.

    Args:
        force_restart: Replace a simulator that runs already; its jobs are gone then.

    Raises:
        CloudException: When it cannot start; says what is missing.
    """
    from cloud._client.simulator import Simulator  # noqa: PLC0415 - few scripts need it

    with _current.lock:
        if _current.simulator is not None and not force_restart:
            return
        close()
        _current.simulator = Simulator()
        _current.client = Client(_current.simulator.address, config)


def running_on_cloud() -> bool:
    """Whether this is a job's process."""
    return Settings.read().running


def is_simulated() -> bool:
    """Whether jobs run in the simulator."""
    return _current.simulator is not None


def connection_info() -> dict[str, Any]:
    """Where jobs go: `server_url`, `api_key` (its id, never the secret), `connection_type`."""
    address = client().address
    kind = "simulator" if is_simulated() else address.url.partition(":")[0]
    return address.connection_info(kind)


def close() -> None:
    """Give back connections and stop the simulator; the next call opens what it needs anew."""
    with _current.lock:
        client_, simulator = _current.client, _current.simulator
        _current.client, _current.simulator, _current.job = None, None, None
        if client_ is not None:
            client_.close()
        if simulator is not None:
            simulator.stop()
