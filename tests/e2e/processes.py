"""The processes that belong to a stack, found from outside, without asking the stack."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path


def of_stack(data: Path, *urls: str) -> list[psutil.Process]:
    """Return every live process of the stack with this data directory, the oldest first.

    A process belongs to it if its command line, directory or environment names the data directory,
    if its command line names a URL of the stack, or if it descends from such a process.
    """
    members: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _belongs(process, str(data), urls):
                members[process.pid] = process
                members |= {child.pid: child for child in process.children(recursive=True)}
    living = [process for process in members.values() if alive(process)]
    return sorted(living, key=lambda process: process.create_time())


def alive(process: psutil.Process) -> bool:
    """Return whether a process runs and is not a zombie; a later one of its pid does not count."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def assert_none(data: Path) -> None:
    """Fail, naming them, if processes of the stack with this data directory are alive."""
    remaining = of_stack(data)
    assert not remaining, described(remaining)


def described(processes: list[psutil.Process]) -> str:
    """Return one line for each process, for the message of a failing test."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid} (parent {process.ppid()}): {process.cmdline()}")
    return "\n".join(lines)


def _belongs(process: psutil.Process, data: str, urls: tuple[str, ...]) -> bool:
    line = "\n".join(process.cmdline())
    if data in line or any(url and url in line for url in urls):
        return True
    with contextlib.suppress(psutil.AccessDenied):
        if str(process.cwd()).startswith(data):
            return True
        return any(data in value for value in process.environ().values())
    return False
