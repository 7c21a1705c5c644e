"""The server that completion asks, without patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cloud._client.client import Client
from cloud._client.current import current
from cloud._config.configuration import Config

from picloud.server_choice import ServerChoice

if TYPE_CHECKING:
    import typer

_WAIT_S: Final = 0.5


def quick_client(context: typer.Context) -> Client:
    """Return a client of the server that the words before choose; it gives up soon."""
    config = Config()
    config.network_timeout, config.retry_attempts = _WAIT_S, 0
    params: dict[str, Any] = context.find_root().params
    ServerChoice(
        profile=params.get("profile"),
        api_key=params.get("api_key"),
        api_secretkey=params.get("api_secretkey"),
    ).apply()
    return Client(current.address(), config)
