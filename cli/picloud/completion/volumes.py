"""Completion of names of volumes; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def volumes(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a volume; each has its mount path as description."""
    from cloud._resources.volume import VolumeClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.name, each.mount_path) for each in VolumeClient(client.transport).list()
        ],
    )


def paths(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a volume in a path, up to its colon."""
    if ":" in incomplete or "/" in incomplete:
        return []
    return [(f"{name}:", about) for name, about in volumes(context, incomplete)]
