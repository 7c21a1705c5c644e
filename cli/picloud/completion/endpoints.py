"""Completion of labels of published functions; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def labels(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the label of a published function; each has its name as description."""
    from cloud._resources.rest import EndpointClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = EndpointClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [(each.label, each.function_name) for each in found if each.label.startswith(incomplete)]
