"""Completion of labels of cron jobs; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import offered


def labels(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the label of a cron job; each has its schedule as description."""
    from cloud._resources.cron import CronClient  # noqa: PLC0415 - completion alone needs it

    return offered(
        context,
        incomplete,
        lambda client: [
            (each.label, each.schedule.schedule) for each in CronClient(client.transport).list()
        ],
    )
