"""Completion of names of queues; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a queue."""
    from cloud._resources.queue import QueueClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = QueueClient(quick_client(context).transport).names()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [name for name in found if name.startswith(incomplete)]
