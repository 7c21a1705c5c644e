"""Completion of queues, dictionaries and locks; nothing is offered if no server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered
from picloud.completion.values import PLAIN, inserted

if TYPE_CHECKING:
    from cloud._client.client import Client


def queues(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a queue."""
    from cloud._resources.queue import QueueClient  # noqa: PLC0415 - completion alone needs it

    return offered(context, incomplete, lambda client: QueueClient(client.transport).names())


def dictionaries(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a dictionary."""
    from cloud._resources.dictionary import list_dicts  # noqa: PLC0415 - as above

    return offered(
        context, incomplete, lambda client: [each.name for each in list_dicts(client.transport)]
    )


def dictionary_keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a key in the dictionary that was typed before."""
    from cloud._resources.dictionary import DictClient  # noqa: PLC0415 - as above

    def read(client: Client) -> list[str]:
        used = DictClient(client.transport, context.params["name"])
        return sorted(each.key for each in used.entries(with_values=False))

    return [inserted(key) for key in offered(context, incomplete, read) if PLAIN.fullmatch(key)]


def locks(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a lock that is held."""
    from cloud._resources.lock import LockClient  # noqa: PLC0415 - as above

    return offered(
        context,
        incomplete,
        lambda client: [each.name for each in LockClient(client.transport).list()],
    )
