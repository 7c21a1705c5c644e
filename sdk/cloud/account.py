"""`cloud.account`: the API keys of your account.

    created = cloud.account.create_key()
    cloud.account.deactivate_key(created["api_key"])

The API key in use identifies the account. A secret is shown only once, when its key is created.
Scripts for the original client pass a user name and a password first; both are ignored.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from picloud_model.errors import KeyNotFound, KeyRefused
from picloud_model.wire.webhook import (
    RotateWebhookSecretRequest,
    WebhookSecret,
    WebhookSecretRequest,
)

from cloud._client.client import Client
from cloud._client.current import client
from cloud._config.border import LOCAL_CALL, of_users
from cloud._config.configuration import config
from cloud._http.transport import ServerAddress
from cloud._resources.key import checked_id, id_of
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
    "rotate_webhook_secret",
    "webhook_secret",
]


_P = ParamSpec("_P")
_R = TypeVar("_R")
_CREDENTIALS: Final = ("username", "password")


def _after_credentials(count: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Let a function of `count` arguments also be called with a user name and a password first."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        bordered = of_users(function)

        @wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            rest: Any = args[2:] if len(args) > max(count, 1) else args
            named: Any = {each: kwargs[each] for each in kwargs if each not in _CREDENTIALS}
            with LOCAL_CALL:
                return bordered(*rest, **named)

        return call

    return decorate


@_after_credentials(1)
def list_keys(active_only: bool = False) -> list[str]:
    """Return the ids of the API keys of your account, oldest first.

    Args:
        active_only: Leave out deactivated keys.

    >>> key = cloud.account.create_key()
    >>> key["api_key"] in cloud.account.list_keys()
    True
    """
    return [key.id for key in client().keys.list(active_only=active_only)]


@_after_credentials(1)
def get_key(api_key: Any) -> dict[str, Any]:
    """Return the `api_key` (its id), `active` and `created` (a time) of an API key.

    Args:
        api_key: The id of a key of your account, or the whole key.

    Raises:
        CloudException: When your account has no such key.

    >>> key = cloud.account.create_key()
    >>> cloud.account.get_key(key["api_key"])["active"]
    True
    """
    key_id = id_of(api_key)
    for key in client().keys.list():
        if key.id == key_id:
            return _described(key)
    raise CloudException(KeyNotFound().message)


@_after_credentials(1)
def activate_key(api_key: Any) -> None:
    """Activate an API key, so that the server accepts it again.

    Args:
        api_key: The id of a key of your account, or the whole key.

    Raises:
        CloudException: When your account has no such key.

    >>> key = cloud.account.create_key()
    >>> cloud.account.deactivate_key(key["api_key"])
    >>> cloud.account.activate_key(key["api_key"])
    """
    client().keys.set_active(checked_id(api_key), active=True)


@_after_credentials(1)
def deactivate_key(api_key: Any) -> None:
    """Deactivate an API key: within 5 seconds every server rejects it.

    Args:
        api_key: The id of a key of your account, or the whole key; not the key in use.

    Raises:
        CloudException: When your account has no such key, or the key is in use.

    >>> key = cloud.account.create_key()
    >>> cloud.account.deactivate_key(key["api_key"])
    >>> key["api_key"] in cloud.account.list_keys(active_only=True)
    False
    """
    client().keys.set_active(checked_id(api_key), active=False)


@_after_credentials(0)
def create_key() -> dict[str, Any]:
    """Create an API key for your account; its secret cannot be requested later.

    Returns:
        `api_key` (its id), `api_secretkey` (its secret), `key` (both, as `setkey` takes it) and
        `active`.

    >>> sorted(cloud.account.create_key())
    ['active', 'api_key', 'api_secretkey', 'key']
    """
    key = client().keys.create().key
    key_id, _, secret = key.removeprefix("pk_").partition("_")
    return {"api_key": key_id, "api_secretkey": secret, "key": key, "active": True}


@of_users
def get_key_by_key(api_key: Any, api_secretkey: str) -> dict[str, Any]:
    """Return what `get_key` returns for the key with this id and secret, whatever key is in use.

    Args:
        api_key: The id of the key.
        api_secretkey: The secret of the key.

    Raises:
        CloudException: When the server rejects the key.

    >>> key = cloud.account.create_key()
    >>> cloud.account.get_key_by_key(key["api_key"], key["api_secretkey"])["active"]
    True
    """
    address = ServerAddress(client().address.url, f"pk_{id_of(api_key)}_{api_secretkey}")
    key_client = Client(address, config)
    try:
        own = [key for key in key_client.keys.list() if key.own]
    finally:
        key_client.close()
    if not own:
        raise CloudException(KeyRefused().message)
    return _described(own[0])


@_after_credentials(0)
def webhook_secret() -> str:
    """Return the secret that signs the webhooks of your account (`_on_done`).

    It stays the same until it is replaced. Programs that receive webhooks check their signature
    with it.

    Raises:
        CloudException: When the server does not know the API key.

    >>> cloud.account.webhook_secret().startswith("whsec_")
    True
    """
    answer = client().transport.post("/v1/webhooks/secret", WebhookSecretRequest(), WebhookSecret)
    return answer.secret


@of_users
def rotate_webhook_secret() -> str:
    """Replace the secret that signs the webhooks of your account.

    For a day webhooks have two signatures, so that programs can change to the new secret in turn.
    Then the old one signs nothing; if the secret is replaced twice, the first one ends at once.

    Returns:
        The new secret.

    Raises:
        CloudException: When the server does not know the API key.

    >>> before = cloud.account.webhook_secret()
    >>> cloud.account.rotate_webhook_secret() != before
    True
    """
    request = RotateWebhookSecretRequest(os.urandom(16).hex())
    return client().transport.post("/v1/webhooks/rotate", request, WebhookSecret).secret


def _described(key: ListedKey) -> dict[str, Any]:
    created = datetime.fromtimestamp(key.created_at).astimezone()
    return {"api_key": key.id, "active": key.active, "created": created}


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
