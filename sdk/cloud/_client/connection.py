"""The functions of `import cloud` that say where jobs run, with which key, and what travels.

Names, arguments and defaults are those of the original client (version 2.8.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cloud._client.current import client, current
from cloud._config.border import of_users
from cloud.errors import CloudValueError


@of_users
def setkey(
    api_key: Any = None,
    api_secretkey: str | None = None,
    server_url: str | None = None,
    restart: bool = False,
    immutable: bool = False,
) -> None:
    """Choose the API key, and the server, for the calls that follow.

        cloud.setkey("pk_...", server_url="https://cloud.example.com")

    Args:
        api_key: The whole key `pk_<id>_<secret>`, or only its id; None for the key of the
            environment or the profile.
        api_secretkey: The secret, if `api_key` is only the id.
        server_url: The server; by default the one chosen before, else that of the environment or
            the profile.
        restart: Accepted for old scripts, without effect: connections are always opened again.
        immutable: Ignore later calls of `setkey` in this process.

    Raises:
        CloudException: When the key or the URL is not valid. Whether the server accepts the key is
            known with the first request.
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

    >>> cloud.set_dependency_whitelist(["mypackage", "settings"])
    >>> cloud.set_dependency_whitelist(None)
    """
    from cloud._packing import module_source  # noqa: PLC0415 - few scripts need it

    names = None if whitelist is None else _names(whitelist)
    module_source.allow_only(names)


def _names(whitelist: object) -> list[str]:
    if isinstance(whitelist, Iterable) and not isinstance(whitelist, str):
        names = list(whitelist)
        if all(isinstance(name, str) for name in names):
            return names
    raise CloudValueError(f"whitelist must be a list of module names, not {whitelist!r:.80}.")


@of_users
def start_simulator(force_restart: bool = False) -> None:
    """Run the jobs of the calls that follow on this machine, until this script ends.

    Args:
        force_restart: Replace a simulator that is running already, and lose its jobs.

    Raises:
        CloudException: When the simulator cannot start; the message says what is missing.

    >>> cloud.start_simulator()
    >>> cloud.result(cloud.call(abs, -1))
    1
    """
    current.start_simulator(force_restart=force_restart)


def is_simulated() -> bool:
    """Return whether jobs run in the simulator.

    >>> cloud.start_simulator()
    >>> cloud.is_simulated()
    True
    """
    return current.simulator is not None


@of_users
def connection_info() -> dict[str, Any]:
    """Return which server the calls use, and with which key.

    Returns:
        `server_url`, `api_key` (its id, never the secret), `connection_type` ("http", "https" or
        "simulator") and `opened`, which is always True.

    Raises:
        CloudException: When no server is known.

    >>> sorted(cloud.connection_info())
    ['api_key', 'connection_type', 'opened', 'server_url']
    """
    address = client().address
    kind = "simulator" if is_simulated() else address.url.partition(":")[0]
    return address.connection_info(kind)


def close() -> None:
    """Close connections and stop the simulator; the next call opens what it needs again."""
    current.close()
