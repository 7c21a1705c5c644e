"""`cloud.account`: the API keys of your account.

    made = cloud.account.create_key()
    cloud.account.deactivate_key(made["api_key"])

The API key in use opens its account, and a secret is shown once: when its key is made. Scripts for
the original client pass a user name and a password first; both are ignored.
"""

from __future__ import annotations

from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from picloud_model.errors import KeyNotFound, KeyRefused

from cloud._client.client import Client
from cloud._client.current import client, config
from cloud._http.transport import ServerAddress
from cloud._resources.key import id_of
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import ListedKey

__all__ = [
    "activate_key",
    "create_key",
    "deactivate_key",
    "get_key",
    "get_key_by_key",
    "list_keys",
]


_P = ParamSpec("_P")
_R = TypeVar("_R")
_CREDENTIALS: Final = ("username", "password")


def _after_credentials(count: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function of `count` arguments also be called with a user name and a password first."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            rest = args[2:] if len(args) > max(count, 1) else args
            named = {name: each for name, each in kwargs.items() if name not in _CREDENTIALS}
            return function(*rest, **named)  # type: ignore[arg-type]

        return call

    return decorate


@_after_credentials(1)
def list_keys(active_only: bool = False) -> list[str]:
    """The ids of your account's API keys, the oldest first.

    Args:
        active_only: Leave out those that were deactivated.
    """
    return [key.id for key in client().keys.list(active_only=active_only)]


@_after_credentials(1)
def get_key(api_key: Any) -> dict[str, Any]:
    """What is known of an API key: `api_key` (its id), `active`, `created` (a time).

    Args:
        api_key: The id of a key of your account, or the whole key.

    Raises:
        CloudException: When your account has no such key.
    """
    wanted = id_of(api_key)
    for key in client().keys.list():
        if key.id == wanted:
            return _told(key)
    raise CloudException(KeyNotFound().message)


@_after_credentials(1)
def activate_key(api_key: Any) -> None:
    """Let an API key open your account again.

    Args:
        api_key: The id of a key of your account, or the whole key.

    Raises:
        CloudException: When your account has no such key.
    """
    client().keys.switch(id_of(api_key), active=True)


@_after_credentials(1)
def deactivate_key(api_key: Any) -> None:
    """Let an API key open nothing any more: every server refuses it within 5 seconds.

    Args:
        api_key: The id of a key of your account, or the whole key; not the one in use.

    Raises:
        CloudException: When your account has no such key, or it is the one in use.
    """
    client().keys.switch(id_of(api_key), active=False)


@_after_credentials(0)
def create_key() -> dict[str, Any]:
    """Make an API key for your account; its secret cannot be asked for later.

    Returns:
        `api_key` (its id), `api_secretkey` (its secret), `key` (both, as `setkey` takes it) and
        `active`.
    """
    key = client().keys.create().key
    name, _, secret = key.removeprefix("pk_").partition("_")
    return {"api_key": name, "api_secretkey": secret, "key": key, "active": True}


def get_key_by_key(api_key: Any, api_secretkey: str) -> dict[str, Any]:
    """What is known of the API key with this id and this secret, whatever key is in use.

    Args:
        api_key: Its id.
        api_secretkey: Its secret.

    Raises:
        CloudException: When the server does not take them.
    """
    address = ServerAddress(client().address.url, f"pk_{id_of(api_key)}_{api_secretkey}")
    with_it = Client(address, config)
    try:
        own = [key for key in with_it.keys.list() if key.own]
    finally:
        with_it.close()
    if not own:
        raise CloudException(KeyRefused().message)
    return _told(own[0])


def _told(key: ListedKey) -> dict[str, Any]:
    created = datetime.fromtimestamp(key.created_at).astimezone()
    return {"api_key": key.id, "active": key.active, "created": created}
