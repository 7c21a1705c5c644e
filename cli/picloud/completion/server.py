"""The server that completion asks, without patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from cloud._client.client import Client
from cloud._client.current import current
from cloud._config.configuration import Config

from picloud.server_choice import ServerChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import typer

_WAIT_S: Final = 0.5
Word = TypeVar("Word", str, tuple[str, str])
"""A word that is offered, or with a description."""
Found = TypeVar("Found")


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


def offered(
    context: typer.Context, incomplete: str, read: Callable[[Client], Iterable[Word]]
) -> list[Word]:
    """Return the words that a server knows and that begin as typed; none if it does not answer.

    Args:
        context: The command line.
        incomplete: What was typed of the word.
        read: Reads the words from the server.
    """
    return [
        each
        for each in answered(context, read)
        if (each if isinstance(each, str) else each[0]).startswith(incomplete)
    ]


def answered(context: typer.Context, read: Callable[[Client], Iterable[Found]]) -> list[Found]:
    """Return what is read from the server; nothing if it does not answer."""
    try:
        return [*read(quick_client(context))]
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
