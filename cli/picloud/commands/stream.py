"""`picloud stream`."""

from __future__ import annotations

import sys
from typing import Annotated

import cloud
import typer

from picloud import output
from picloud.options.arguments import OneJid, Timeout  # noqa: TC001 - Typer reads them


def stream(
    jid: OneJid,
    start: Annotated[
        int,
        typer.Option("--start", "-s", min=0, metavar="N", help="Position of the first value."),
    ] = 0,
    timeout: Timeout = None,
) -> None:
    """Print the values that a job yields, while it runs.

    A line for each value: text unchanged, other values as JSON, or as Python shows them if they
    have no JSON representation. What is printed is removed from the server.

    Exits with 3 when the job failed, after its last value (its traceback is on standard error), and
    with 4 when the next value takes longer than the timeout.

    \b
    Examples:
      $ picloud stream 7
      $ picloud stream 7 --start 120 --timeout 60
    """  # noqa: D301 - \b keeps the lines apart
    cloud.config.raise_original = False  # so that the error of a failed job is known as that
    for value in cloud.Job(jid).stream(start, timeout):
        output.text(output.printable(value))
        sys.stdout.flush()
