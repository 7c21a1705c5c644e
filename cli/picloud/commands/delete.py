"""`picloud delete`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson, MaybeJids, jids_or_all


def delete(
    jids: MaybeJids = None,
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
    named = jids_or_all(jids, every)
    count = client().delete_finished() if named is None else client().delete(named)
    if json:
        output.as_json({"deleted": count})
    else:
        output.hint(f"{count:,} {'job' if count == 1 else 'jobs'} deleted.")
