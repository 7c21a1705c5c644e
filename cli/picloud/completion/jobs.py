"""The newest jobs, as a shell offers them: at once, and silently where no server answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import typer  # noqa: TC002 - typer reads annotations when it runs
from cloud._client.client import Client
from cloud._client.current import current
from cloud._config.configuration import Config
from picloud_model.wire import ListRequest

from picloud.server_choice import ServerChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire import ListedJob

_MOST: Final = 50
_WAIT_S: Final = 0.5
_PLAIN: Final = re.compile(r"[\w .:/-]+", re.ASCII)
"""What no shell takes for anything but text: some evaluate what they are offered."""


def jids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The jids of the newest jobs, each with its status and what it is called.

    After a comma or a dash the next one is offered.
    """
    typed = max(incomplete.rfind(","), incomplete.rfind("-")) + 1
    before, begun = incomplete[:typed], incomplete[typed:]
    return [
        (f"{before}{job.jid}", f"{job.status} {_plain(job.label or job.function_name)}".strip())
        for job in _jobs(context)
        if str(job.jid).startswith(begun)
    ]


def labels(context: typer.Context, incomplete: str) -> list[str]:
    """The labels of the newest jobs."""
    found = {job.label for job in _jobs(context) if job.label and _PLAIN.fullmatch(job.label)}
    return sorted(label for label in found if label.startswith(incomplete))


def _plain(text: str) -> str:
    return " ".join(_PLAIN.findall(text))


def _jobs(context: typer.Context) -> Iterator[ListedJob]:
    config = Config()
    config.network_timeout, config.retry_attempts = _WAIT_S, 0
    chosen: dict[str, Any] = context.find_root().params
    try:
        ServerChoice(
            profile=chosen.get("profile"),
            api_key=chosen.get("api_key"),
            api_secretkey=chosen.get("api_secretkey"),
        ).apply()
        client = Client(current.address(), config)
        yield from client.listed(ListRequest(limit=_MOST)).jobs
    except Exception:  # noqa: BLE001 - whoever presses Tab asked for no message
        return
