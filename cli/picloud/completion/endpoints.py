"""Completion of labels of published functions; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def labels(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the label of a published function; each has its name as description."""
    from cloud._resources.rest import EndpointClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.label, each.function_name) for each in EndpointClient(client.transport).list()
        ],
    )
