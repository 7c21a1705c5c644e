"""Completion of names of environments; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def environments(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of an environment; each has its description."""
    from cloud._resources.environment import (  # noqa: PLC0415 - completion alone needs it
        EnvironmentClient,
    )

    try:
        found = EnvironmentClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [(each.name, each.desc) for each in found if each.name.startswith(incomplete)]
