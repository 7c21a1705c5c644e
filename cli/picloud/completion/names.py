"""Completion of queues, dictionaries and locks; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client
from picloud.completion.values import PLAIN, inserted


def queues(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a queue."""
    from cloud._resources.queue import QueueClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = QueueClient(quick_client(context).transport).names()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [name for name in found if name.startswith(incomplete)]


def dictionaries(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a dictionary."""
    from cloud._resources.dictionary import list_dicts  # noqa: PLC0415 - as above

    try:
        found = list_dicts(quick_client(context).transport)
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [each.name for each in found if each.name.startswith(incomplete)]


def dictionary_keys(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a key in the dictionary that was typed before."""
    from cloud._resources.dictionary import DictClient  # noqa: PLC0415 - as above

    try:
        used = DictClient(quick_client(context).transport, context.params["name"])
        found = sorted(each.key for each in used.entries(with_values=False))
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [inserted(key) for key in found if key.startswith(incomplete) and PLAIN.fullmatch(key)]


def locks(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a lock that is held."""
    from cloud._resources.lock import LockClient  # noqa: PLC0415 - as above

    try:
        found = LockClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [each.name for each in found if each.name.startswith(incomplete)]
