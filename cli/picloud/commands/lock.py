"""`picloud lock`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from cloud import lock

from picloud import output, tables, units
from picloud.completion import names
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)


@app.callback()
def all_locks() -> None:
    """Show which locks your jobs and programs hold.

    \b
    Examples:
      $ picloud lock list
      $ picloud lock break report
    """  # noqa: D301 - \b keeps the lines apart


@app.command("list")
def list_locks(*, json: AsJson = False) -> None:
    """Print the locks, semaphores and leaders that are held.

    \b
    Examples:
      $ picloud lock list
    """  # noqa: D301 - \b keeps the lines apart
    found = lock.list()
    if json:
        for each in found:
            for holder in each["holders"]:
                holder["since"] = holder["since"].isoformat(timespec="seconds")
        output.as_json(found)
        return
    now = time.time()
    rows = [
        (
            each["name"],
            f"{len(each['holders'])} of {each['tokens']}",
            f"job {holder['jid']}" if holder["jid"] else "a program",
            units.moment(holder["since"].timestamp(), now),
        )
        for each in found
        for holder in each["holders"]
    ]
    columns = ("name", "held", "by", "since")
    tables.show(tables.Columns(columns, flexible=columns[:1]), rows, empty="No locks are held.")


@app.command("break")
def break_lock(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of a lock that is held.", autocompletion=names.locks
        ),
    ],
) -> None:
    """Take a lock away from its holders, which go on and find out later.

    \b
    Examples:
      $ picloud lock break report
    """  # noqa: D301 - \b keeps the lines apart
    lock.break_lock(name)
