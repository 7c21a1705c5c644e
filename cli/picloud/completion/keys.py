"""Completion of ids of API keys; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the id of an API key; each has its status as description."""
    try:
        found = quick_client(context).keys.list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [
        (key.id, "active" if key.active else "inactive")
        for key in found
        if key.id.startswith(incomplete)
    ]
