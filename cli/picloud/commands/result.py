"""`picloud result`."""

from __future__ import annotations

from typing import Annotated

import cloud
import typer

from picloud import output
from picloud.reading import AsJson, Jids, Timeout
from picloud.reading import jids as read_jids


def result(
    jids: Jids,
    timeout: Timeout = None,
    ignore_errors: Annotated[
        bool, typer.Option("--ignore-errors", "-i", help="Show null for jobs that failed.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Wait for jobs and print their results: text as it is, the rest as JSON.

    \b
    Exits with 3 when a job failed, with 4 when the time is over.
    \b
    Examples:
      $ picloud result 7
      $ picloud result 7,9-12 --timeout 60
      $ picloud result 1-1000 --json --ignore-errors
    """  # noqa: D301 - \b keeps the lines apart
    asked = read_jids(jids)
    found = cloud.result(asked, timeout, ignore_errors)
    texts = [output.printable(jid, value) for jid, value in zip(asked, found, strict=True)]
    if json:
        output.as_json(
            [{"jid": jid, "result": value} for jid, value in zip(asked, found, strict=True)]
        )
        return
    for jid, text in zip(asked, texts, strict=True):
        if len(asked) > 1:
            output.text(f"Result for jid {jid}:")
        output.text(text)
