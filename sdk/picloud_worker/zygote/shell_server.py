"""Turns a process that the zygote has forked into the shell server of a job.

The server runs as the user of the job, in its directory and among its mounts, and ends with it. It
is a new interpreter: what it imports takes none of the zygote's memory, and jobs do not find it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn

from picloud_worker.system import namespace, process_lifetime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_worker.system.user import User

STREAM: Final = 3
"""The descriptor of the stream to the client."""
ORDER: Final = 4
"""The descriptor from which the order is read."""
_ABOVE: Final = 10
_MISSING_S: Final = 5.0
_PAUSE_S: Final = 0.01


def become_shell_server(
    zygote: int, job: int, descriptors: Sequence[int], user: User | None, python: str
) -> NoReturn:
    """Replace this process by `python -m picloud_worker.tunnel`; never returns.

    Args:
        zygote: The process id of the zygote, which is the parent.
        job: The process id of the child that runs the job.
        descriptors: The stream to the client, and the order.
        user: The user of the job; None for that of the zygote.
        python: The interpreter of the server; "" for that of the zygote.

    Raises:
        OSError: When the system refuses; the process must exit then.
    """
    import fcntl  # noqa: PLC0415 - only Unix has it

    os.setsid()
    process_lifetime.adopt_orphans()
    process_lifetime.prefer_oom_kill()
    if user:
        user.become()
    process_lifetime.set_parent_death_signal(zygote, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # Above the numbers that they get, so that neither replaces the other.
    stream, order = (fcntl.fcntl(each, fcntl.F_DUPFD, _ABOVE) for each in descriptors)
    directory = os.open(f"/proc/{job}/cwd", os.O_PATH | os.O_DIRECTORY)
    null = fcntl.fcntl(os.open(os.devnull, os.O_RDWR), fcntl.F_DUPFD, _ABOVE)
    namespace.join_process(job)
    os.fchdir(directory)
    for source, target in ((null, 0), (null, 1), (null, 2), (stream, STREAM), (order, ORDER)):
        os.dup2(source, target)
    os.closerange(ORDER + 1, os.sysconf("SC_OPEN_MAX"))
    program = python or sys.executable
    command = [program, "-P", "-m", "picloud_worker.tunnel", str(job), sys.executable]
    replace_process(program, command)


def replace_process(program: str, command: list[str]) -> NoReturn:
    """Replace this process by a program, which may be missing for a moment.

    While a job makes mount points of volumes in its root directory, it has a root without programs,
    and so has who joins its namespace then. It gets the new root with the job.

    Raises:
        OSError: When the system refuses, or the program stays missing.
    """
    deadline = time.monotonic() + _MISSING_S
    while True:
        try:
            os.execve(program, command, {})  # noqa: S606 - no shell is wanted
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
