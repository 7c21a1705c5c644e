"""Completion of jids and labels of the newest jobs; nothing is offered if no server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer  # noqa: TC002 - typer reads annotations when it runs
from picloud_model.wire import ListRequest

from picloud.completion.server import answered
from picloud.completion.values import PLAIN, inserted

if TYPE_CHECKING:
    from picloud_model.wire import ListedJob

_MOST: Final = 50


def jids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Complete a jid of the newest jobs, or after a comma or a dash the next one.

    Each has the status and the label or the function of its job as description.
    """
    start = max(incomplete.rfind(","), incomplete.rfind("-")) + 1
    before, prefix = incomplete[:start], incomplete[start:]
    return [
        (f"{before}{job.jid}", f"{job.status} {_plain(job.label or job.function_name)}".strip())
        for job in _jobs(context)
        if str(job.jid).startswith(prefix)
    ]


def labels(context: typer.Context, incomplete: str) -> list[str]:
    """Complete a label of the newest jobs."""
    labels_ = {job.label for job in _jobs(context) if job.label and PLAIN.fullmatch(job.label)}
    return sorted(inserted(label) for label in labels_ if label.startswith(incomplete))


def _plain(text: str) -> str:
    return " ".join(PLAIN.findall(text))


def _jobs(context: typer.Context) -> list[ListedJob]:
    return answered(context, lambda client: client.listed(ListRequest(limit=_MOST)).jobs)
