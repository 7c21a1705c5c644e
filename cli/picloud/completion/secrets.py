"""Completion of names of secrets; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def secrets(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a secret; each has its variables as description."""
    from cloud._resources.secret import SecretClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = SecretClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [
        (each.name, ", ".join(each.variables)) for each in found if each.name.startswith(incomplete)
    ]
