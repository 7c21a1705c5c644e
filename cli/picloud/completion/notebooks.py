"""Completion of names of notebooks; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def notebooks(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a notebook; each has its job as description."""
    from cloud._resources.notebook import NotebookClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = NotebookClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [
        (each.name, f"{'ran as' if each.ended else 'runs as'} job {each.jid}")
        for each in found
        if each.name.startswith(incomplete)
    ]
