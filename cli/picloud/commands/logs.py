"""`picloud logs`."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Final

import typer
from cloud._client.current import client
from picloud_model.job import Status

from picloud import output

POLL_S: Final = 1.0
"""How often a job that is followed is asked for more."""
_OVER: Final = (Status.DONE, Status.ERROR, Status.KILLED, Status.STALLED)


def logs(
    jid: Annotated[int, typer.Argument(metavar="JID", min=1, help="A job id.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    logging: Annotated[
        bool, typer.Option("--logging", help="Show what it told Python's logging instead.")
    ] = False,
) -> None:
    """Show what a job prints: its stdout on stdout, its stderr on stderr.

    \b
    Examples:
      $ picloud logs 7
      $ picloud logs 7 --follow
    """  # noqa: D301 - \b keeps the lines apart
    if not follow:
        told = client().info(jid, ["logging"] if logging else ["stdout", "stderr"])[jid]
        for stream, text in told.items():
            _write(stream, text or "")
        return
    known = {"logging": 0} if logging else {"stdout": 0, "stderr": 0}
    over = False
    while True:
        told_now = client().follow(jid, known)
        moved = {stream: told_now.ends[stream] for stream in known}
        for stream, before in known.items():
            text = told_now.values[stream]
            lost = moved[stream] - before - len(text.encode())
            if lost > 0:
                output.hint(f"[{lost:,} bytes of {stream} came too fast and were left out]")
            _write(stream, text)
        if over and moved == known:
            return
        # What it wrote last may not be told yet when it is first seen to have ended.
        over = over or told_now.values["status"] in _OVER
        if moved == known and not over:
            time.sleep(POLL_S)
        known = moved


def _write(stream: str, text: str) -> None:
    target = sys.stderr if stream == "stderr" else sys.stdout
    target.write(output.clean(text) if target.isatty() else text)
    target.flush()
