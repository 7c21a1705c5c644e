"""Completion of names of volumes; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def volumes(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a volume; each has its mount path as description."""
    from cloud._resources.volume import VolumeClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = VolumeClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [(each.name, each.mount_path) for each in found if each.name.startswith(incomplete)]


def paths(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a volume in a path, up to its colon."""
    if ":" in incomplete or "/" in incomplete:
        return []
    return [(f"{name}:", about) for name, about in volumes(context, incomplete)]
