"""`picloud delete`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output
from picloud.completion import jobs
from picloud.options.arguments import AsJson
from picloud.options.arguments import jids as read_jids


def delete(
    jids: Annotated[
        str | None,
        typer.Argument(metavar="JIDS", help="Job ids: 7 or 7,9-12.", autocompletion=jobs.jids),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Delete all your finished jobs.")] = False,
    json: AsJson = False,
) -> None:
    """Delete the results, output and arguments of finished jobs.

    \b
    Examples:
      $ picloud delete 7
      $ picloud delete 7,9-12
      $ picloud delete --all
    """  # noqa: D301 - \b keeps the lines apart
    if every == (jids is not None):
        raise typer.BadParameter("give either jids or --all.", param_hint="JIDS")
    count = client().delete_finished() if jids is None else client().delete(read_jids(jids))
    if json:
        output.as_json({"deleted": count})
    else:
        output.hint(f"{count:,} {'job' if count == 1 else 'jobs'} deleted.")
