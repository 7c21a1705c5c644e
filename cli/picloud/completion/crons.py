"""Completion of labels of cron jobs; nothing is offered if no server answers."""

from __future__ import annotations

import typer  # noqa: TC002 - typer reads annotations when it runs

from picloud.completion.server import quick_client


def labels(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete the label of a cron job; each has its schedule as description."""
    from cloud._resources.cron import CronClient  # noqa: PLC0415 - completion alone needs it

    try:
        found = CronClient(quick_client(context).transport).list()
    except Exception:  # noqa: BLE001 - completion prints no messages
        return []
    return [
        (each.label, each.schedule.schedule) for each in found if each.label.startswith(incomplete)
    ]
