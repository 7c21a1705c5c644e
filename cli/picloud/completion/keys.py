"""Completion of ids of API keys; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the id of an API key; each has its status as description."""
    return offered(
        context,
        incomplete,
        lambda client: [
            (key.id, "active" if key.active else "inactive") for key in client.keys.list()
        ],
    )
