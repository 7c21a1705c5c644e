"""Limits of the handlers of queues."""

from __future__ import annotations

from typing import Annotated

import typer

_JOBS = typer.Option("--max-parallel-jobs", "-j", metavar="N", help="Maximum number of jobs.")

MaxJobs = Annotated[int, _JOBS]
NewMaxJobs = Annotated[int | None, _JOBS]
PerSecond = Annotated[
    float | None,
    typer.Option("--per-second", min=0, metavar="N", help="Maximum number of messages a second."),
]
InFlight = Annotated[
    int | None,
    typer.Option("--in-flight", min=0, metavar="N", help="Maximum number of messages in flight."),
]
