"""`picloud logs`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cloud._client.current import client
from picloud_model.job import Status

from picloud import output

if TYPE_CHECKING:
    from collections.abc import Sequence

POLL_S: Final = 1.0
"""Time between two requests for more output."""
_FINAL: Final = (Status.DONE, Status.ERROR, Status.KILLED, Status.STALLED)


def logs(
    jid: Annotated[int, typer.Argument(metavar="JID", min=1, help="Job id.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new output until the job ends.")
    ] = False,
    logging: Annotated[
        bool, typer.Option("--logging", help="Print the messages of Python's logging instead.")
    ] = False,
) -> None:
    """Print the output of a job: its stdout to stdout, its stderr to stderr.

    \b
    Examples:
      $ picloud logs 7
      $ picloud logs 7 --follow
    """  # noqa: D301 - \b keeps the lines apart
    streams = ["logging"] if logging else ["stdout", "stderr"]
    if follow:
        follow_streams(jid, streams)
        return
    for stream, text in client().info(jid, streams)[jid].items():
        _write(stream, text or "")


def follow_streams(jid: int, streams: Sequence[str], poll_s: float = POLL_S) -> None:
    """Print what a job writes to its streams until it has ended."""
    offsets = dict.fromkeys(streams, 0)
    has_ended = False
    while True:
        info = client().follow(jid, offsets)
        ends = {stream: info.ends[stream] for stream in offsets}
        for stream, offset in offsets.items():
            text = info.values[stream]
            missing = ends[stream] - offset - len(text.encode())
            if missing > 0:
                output.hint(f"[{missing:,} bytes of {stream} came too fast and were left out]")
            _write(stream, text)
        if has_ended and ends == offsets:
            return
        # The status may be final before the last output has arrived: ask once more.
        has_ended = has_ended or info.values["status"] in _FINAL
        if ends == offsets and not has_ended:
            time.sleep(poll_s)
        offsets = ends


def _write(stream: str, text: str) -> None:
    target = sys.stderr if stream == "stderr" else sys.stdout
    target.write(output.clean(text) if target.isatty() else text)
    target.flush()
