"""Completion of names of environments; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def environments(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of an environment; each has its description."""
    from cloud._resources.environment import (  # noqa: PLC0415 - completion alone needs it
        EnvironmentClient,
    )

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.name, each.desc) for each in EnvironmentClient(client.transport).list()
        ],
    )
