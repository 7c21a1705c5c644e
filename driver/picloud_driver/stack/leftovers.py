"""What a Nomad that was killed leaves behind: tasks that go on, and mounts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC: Final = Path("/proc")
_ROUNDS: Final = 5


def remove(directory: Path) -> None:
    """Kill the slots and executors of a Nomad that has ended, and unmount what they had.

    Where the system has no /proc, nothing is done.

    Args:
        directory: Of that Nomad.
    """
    # A process that is killed may just have started another.
    for _ in range(_ROUNDS):
        found = list(_processes(directory))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            break
    for mount in reversed(_mounts(directory)):
        command = ["umount", "--lazy", mount]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own directory


def _processes(directory: Path) -> Iterator[int]:
    """Slots, executors, and whoever is in the session of one.

    They are told by what a slot has as its HOME and an executor in its arguments. Where a process
    works, or a path in its arguments, would tell as much of somebody who looks at a log there.
    """
    home = f"HOME={directory}/data/alloc/".encode()
    log = f"{directory}/data/alloc/".encode()
    living = [int(path.name) for path in _PROC.glob("[0-9]*") if _lives(path)]
    sessions = set()
    for pid in living:
        with contextlib.suppress(OSError):
            arguments = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
            variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
            executes = arguments[1:2] == [b"executor"] and log in b"".join(arguments[2:])
            if executes or any(variable.startswith(home) for variable in variables):
                sessions.add(os.getsid(pid))
    for pid in living:
        with contextlib.suppress(OSError):
            if os.getsid(pid) in sessions - {os.getsid(0)}:
                yield pid


def _lives(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return (path / "stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    return False


def _mounts(directory: Path) -> list[str]:
    with contextlib.suppress(OSError):
        lines = (_PROC / "self" / "mounts").read_text().splitlines()
        # A space in a path is told as \040.
        paths = [line.split()[1].encode().decode("unicode_escape") for line in lines]
        return [path for path in paths if Path(path).is_relative_to(directory)]
    return []
