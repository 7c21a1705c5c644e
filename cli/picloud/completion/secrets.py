"""Completion of names of secrets; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def secrets(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a secret; each has its variables as description."""
    from cloud._resources.secret import SecretClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.name, ", ".join(each.variables)) for each in SecretClient(client.transport).list()
        ],
    )
