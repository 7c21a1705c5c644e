"""Cleaning up after a Nomad that was killed: running tasks and mounts."""

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
    """Kill the slots and executors of a Nomad that has ended, and unmount their directories.

    On a system without /proc this does nothing.

    Args:
        directory: The directory of that Nomad.
    """
    # A killed process may just have started another.
    for _ in range(_ROUNDS):
        pids = list(_processes(directory))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            break
    for mount in reversed(_mounts(directory)):
        command = ["umount", "--lazy", mount]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - a path below the data directory


def _processes(directory: Path) -> Iterator[int]:
    """Yield the pids of slots, executors, and all processes in their sessions.

    A slot is identified by its HOME, an executor by its arguments. A work directory, or any path in
    the arguments, would also match the process of a user who reads a log there.
    """
    home = f"HOME={directory}/data/alloc/".encode()
    log = f"{directory}/data/alloc/".encode()
    running = [int(path.name) for path in _PROC.glob("[0-9]*") if _is_running(path)]
    sessions = set()
    for pid in running:
        with contextlib.suppress(OSError):
            arguments = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
            variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
            executes = arguments[1:2] == [b"executor"] and log in b"".join(arguments[2:])
            if executes or any(variable.startswith(home) for variable in variables):
                sessions.add(os.getsid(pid))
    for pid in running:
        with contextlib.suppress(OSError):
            if os.getsid(pid) in sessions - {os.getsid(0)}:
                yield pid


def _is_running(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return (path / "stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    return False


def _mounts(directory: Path) -> list[str]:
    with contextlib.suppress(OSError):
        lines = (_PROC / "self" / "mounts").read_text().splitlines()
        # A space in a path is written as \040.
        paths = [line.split()[1].encode().decode("unicode_escape") for line in lines]
        return [path for path in paths if Path(path).is_relative_to(directory)]
    return []
