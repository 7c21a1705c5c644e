"""`picloud kill`."""

from __future__ import annotations

from typing import Annotated

import typer
from cloud._client.current import client

from picloud import output
from picloud.options.arguments import AsJson, MaybeJids, jids_or_all


def kill(
    jids: MaybeJids = None,
    every: Annotated[bool, typer.Option("--all", help="Kill all your unfinished jobs.")] = False,
    json: AsJson = False,
) -> None:
    """Abort jobs; jobs that have ended do not change.

    \b
    Examples:
      $ picloud kill 7
      $ picloud kill 7 8 9
      $ picloud kill 7,9-12
      $ picloud kill --all
    """  # noqa: D301 - \b keeps the lines apart
    count = client().kill(jids_or_all(jids, every))
    if json:
        output.as_json({"killed": count})
    else:
        output.hint(f"{count} unfinished {'job' if count == 1 else 'jobs'} killed.")
