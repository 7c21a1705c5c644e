"""`picloud logs`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer
from cloud import CloudException
from cloud._client.current import client
from picloud_model.info import InfoKey
from picloud_model.job import Status

from picloud import output
from picloud.messages import message_of
from picloud.options.arguments import Jids
from picloud.options.arguments import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Sequence

POLL_S: Final = 1.0
"""Time between two requests for more output."""
_FINAL: Final = (Status.DONE, Status.ERROR, Status.KILLED, Status.STALLED)
_NOT_BEGUN: Final = (Status.WAITING, Status.QUEUED)
_AGAIN: Final = 30
"""After how many requests it is said again why a job waits."""


def logs(
    jids: Jids,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new output until the jobs end.")
    ] = False,
    logging: Annotated[
        bool, typer.Option("--logging", help="Print the messages of Python's logging instead.")
    ] = False,
) -> None:
    """Print the output of jobs, one after the other.

    What a job wrote to standard error goes to standard error. The two are kept apart, so their
    lines are in order within each; with --follow, lines of both that were written within a second
    may change places. Says on standard error why a job has not begun. With --follow it exits with
    3 when a job failed; the traceback is on standard error.

    \b
    Examples:
      $ picloud logs 7
      $ picloud logs 7 --follow
      $ picloud logs 1-20
    """  # noqa: D301 - \b keeps the lines apart
    streams = ["logging"] if logging else ["stdout", "stderr"]
    order = list(dict.fromkeys(read_jids(*jids)))
    failures = []
    for jid in order:
        if len(order) > 1:
            output.text(f"Output of jid {jid}:")
        if follow:
            follow_streams(jid, streams)
            failures += _failure(jid)
        else:
            _print(jid, streams)
    for failure in failures[:-1]:
        output.error(message_of(failure).partition("\n")[0])
    if failures:
        raise failures[-1]


def _print(jid: int, streams: Sequence[str]) -> None:
    values = client().info(jid, [InfoKey.STATUS.value, *streams])[jid]
    for stream in streams:
        _write(stream, values[stream] or "")
    if values[InfoKey.STATUS] in _NOT_BEGUN:
        _say_why(jid, values[InfoKey.STATUS])


def _failure(jid: int) -> list[CloudException]:
    """Return why a job that has ended failed, if it did."""
    try:
        client().join(jid)
    except CloudException as error:
        return [error]
    return []


def follow_streams(jid: int, streams: Sequence[str], poll_s: float = POLL_S) -> None:
    """Print what a job writes to its streams until it has ended."""
    offsets = dict.fromkeys(streams, 0)
    has_ended = False
    waited = 0
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
        if info.values["status"] in _NOT_BEGUN:
            # Most jobs begin before the second request.
            if waited % _AGAIN == 1:
                _say_why(jid, info.values["status"])
            waited += 1
        if ends == offsets and not has_ended:
            time.sleep(poll_s)
        offsets = ends


def _say_why(jid: int, status: str) -> None:
    why = client().info(jid, [InfoKey.WHY.value])[jid][InfoKey.WHY]
    if why:
        output.hint(f"Job {jid} is {status}: {why}")


def _write(stream: str, text: str) -> None:
    target = sys.stderr if stream == "stderr" else sys.stdout
    target.write(output.clean(text) if target.isatty() else text)
    target.flush()
