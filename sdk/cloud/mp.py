"""`cloud.mp`: the same functions, run by several processes of this machine.

    import cloud

    jids = cloud.mp.map(abs, [-1, 2, -3])
    cloud.mp.result(jids)  # [1, 2, 3]

The first call starts a server of this script's own, as `cloud.start_simulator()` does; `cloud`
itself goes on to use the server it used before. Jids here and there have nothing to do with each
other. A job that calls `cloud` calls the server that runs it: within `cloud.mp`, this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloud._client import functions
from cloud._client.current import CurrentClient, config, running_on_cloud  # noqa: F401 - a twin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

_ELSEWHERE = ("config", "set_dependency_whitelist", "setkey", "start_simulator")
"""Functions of `cloud` that mean nothing for a server that is always this script's own."""
__all__ = [name for name in functions.__all__ if name not in _ELSEWHERE]

_current = CurrentClient()


def client() -> Client:
    """The client these functions use; starts the server if there is none.

    Raises:
        CloudException: When it cannot start; says what is missing.
    """
    return _current.start_simulator(config.num_procs)


def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> int:
    """Run a function as a job on this machine; see `cloud.call`."""
    return client().call(func, *args, **kwargs)


def map(  # noqa: A001 - it is the cloud's map
    func: Callable[..., Any], /, *iterables: Any, **kwargs: Any
) -> range:
    """Run a function once for each item, on this machine; see `cloud.map`."""
    return client().map(func, *iterables, **kwargs)


def status(jids: Any) -> Any:
    """The status of jobs; see `cloud.status`."""
    return client().status(jids)


def join(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> None:
    """Wait until jobs have ended; see `cloud.join`."""
    client().join(jids, timeout, ignore_errors, deadlock_check)


def result(
    jids: Any,
    timeout: float | None = None,
    ignore_errors: bool = False,
    deadlock_check: bool = True,
) -> Any:
    """Wait for jobs to end and return their results; see `cloud.result`."""
    return client().result(jids, timeout, ignore_errors, deadlock_check)


def iresult(
    jids: Any,
    timeout: float | None = None,
    num_in_parallel: int = 10,
    ignore_errors: bool = False,
) -> Iterator[Any]:
    """Results one by one, in the order asked; see `cloud.iresult`."""
    return client().iresult(jids, timeout, num_in_parallel, ignore_errors)


def iresult_unordered(jids: Any) -> Iterator[tuple[int, Any]]:
    """Results one by one, as jobs end; see `cloud.iresult_unordered`."""
    return client().iresult_unordered(jids)


def info(jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
    """What is known of jobs beside their results, also while they run; see `cloud.info`."""
    return client().info(jids, info_requested)


def delete(jids: Any) -> None:
    """Remove what finished jobs left; see `cloud.delete`."""
    client().delete(jids)


def kill(jids: Any = None) -> None:
    """Abort jobs; see `cloud.kill`."""
    client().kill(jids)


def is_simulated() -> bool:
    """Whether jobs run in the simulator: these do not, though it is the same server."""
    return False


def connection_info() -> dict[str, Any]:
    """Where jobs go: `server_url`, `api_key` (its id, never the secret), `connection_type`."""
    return client().address.connection_info("multiprocessing")


def close() -> None:
    """Stop the server with all its jobs; the next call starts another."""
    _current.close()
