"""Standard input of `picloud exec` and `mapexec`: sent with --stdin, never dropped silently."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Final

import typer
from picloud_model.job import DEFAULT_ARGUMENT_BYTES

from picloud import output

_MOST_BYTES: Final = DEFAULT_ARGUMENT_BYTES - 10_000
"""Of what travels with a job, a part is for the command."""
_PART_BYTES: Final = 65_536


def read() -> bytes:
    """Return all of standard input.

    Raises:
        typer.BadParameter: When it is larger than what travels with a job. Not all of it is read
            then: it may be endless.
    """
    data = bytearray()
    while part := sys.stdin.buffer.read(_PART_BYTES):
        data += part
        if len(data) > _MOST_BYTES:
            raise typer.BadParameter(
                f"standard input has more than {_MOST_BYTES:,} bytes, the most that travel with a "
                "job; store it with `picloud bucket put - KEY`, and let the job read it with "
                "`picloud bucket get KEY -`.",
                param_hint="--stdin",
            )
    return bytes(data)


def warn_if_dropped() -> None:
    """Say that a pipe or file at standard input is not sent, unless it is empty."""
    if _holds_data():
        output.hint("Standard input is not sent to the job; --stdin sends it.")


def _holds_data() -> bool:
    try:
        descriptor = sys.stdin.fileno()
        status = os.fstat(descriptor)
    except (AttributeError, OSError, ValueError):  # it is closed, or no file
        return False
    if stat.S_ISREG(status.st_mode):
        return status.st_size > os.lseek(descriptor, 0, os.SEEK_CUR)
    if not stat.S_ISFIFO(status.st_mode):
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # A pipe that was closed without any data only hangs up.
    return all(event & select.POLLIN for _, event in poll.poll(0))
