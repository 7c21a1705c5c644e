"""Completion of names of notebooks and desktops; nothing is offered if no server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered

if TYPE_CHECKING:
    from picloud_model.wire.notebook import MachineKind


def notebooks(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a notebook; each has its job as description."""
    return _machines(context, incomplete, "notebook")


def desktops(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a desktop; each has its job as description."""
    return _machines(context, incomplete, "desktop")


def _machines(context: typer.Context, incomplete: str, kind: MachineKind) -> list[tuple[str, str]]:
    from cloud._resources.notebook import NotebookClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.name, f"{'ran as' if each.ended else 'runs as'} job {each.jid}")
            for each in NotebookClient(client.transport, kind).list()
        ],
    )
