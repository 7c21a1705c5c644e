"""`picloud result`."""

from __future__ import annotations

from typing import Annotated

import typer

from picloud import results
from picloud.options.arguments import AsJson, Jids, Raw, Timeout
from picloud.options.arguments import jids as read_jids


def result(
    jids: Jids,
    timeout: Timeout = None,
    ignore_errors: Annotated[
        bool,
        typer.Option(
            "--ignore-errors", "-i", help="Print errors of failed jobs instead of their results."
        ),
    ] = False,
    *,
    json: AsJson = False,
    raw: Raw = False,
) -> None:
    """Wait for jobs and print their results.

    Text is printed unchanged, other values as JSON, or as Python shows them if they have no JSON
    representation. With --json such a result is null, and the command exits with 1.

    Into a pipe or file the text or bytes of a single result are written without a newline.

    Exits with 3 when a job failed (its traceback is on standard error) and with 4 after a timeout.

    \b
    Examples:
      $ picloud result 7
      $ picloud result 7,9-12 --timeout 60
      $ picloud result 8 > plot.svg
      $ picloud result 1-1000 --json --ignore-errors
    """  # noqa: D301 - \b keeps the lines apart
    results.show(read_jids(*jids), timeout, ignore_errors=ignore_errors, json=json, raw=raw)
