"""Completion of names of notebooks; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def notebooks(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a notebook; each has its job as description."""
    from cloud._resources.notebook import NotebookClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.name, f"{'ran as' if each.ended else 'runs as'} job {each.jid}")
            for each in NotebookClient(client.transport).list()
        ],
    )
