"""Standard input of `picloud exec` and `mapexec`: sent with --stdin, never dropped silently."""

from __future__ import annotations

import os
import select
import stat
import sys

from picloud import output


def read() -> bytes:
    """Return all of standard input."""
    return sys.stdin.buffer.read()


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
