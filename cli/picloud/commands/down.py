"""`picloud down`."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated

import typer

from picloud import output
from picloud.stack.data_dir import StackName, default


def down(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data directory; by default those of both stacks.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Stop PiCloud on this machine.

    This ends the server, its slots, and the servers that `picloud up` started. Jobs and results
    stay in the data directory for the next `picloud up`. Servers that were running before `picloud
    up` keep running.

    \b
    Examples:
      $ picloud down
      $ picloud down --data /tmp/cloud
    """  # noqa: D301 - \b keeps the lines apart
    directories = [data.absolute()] if data else [default(stack) for stack in StackName]
    stopped = False
    if sys.platform != "win32":
        from picloud.stack.down import run  # noqa: PLC0415 - other commands do not need its imports

        stopped = any(list(map(run, directories)))
    if not stopped:
        where = str(data) if data else "this machine"
        output.text(f"Nothing to stop: PiCloud is not running on {where}.")
