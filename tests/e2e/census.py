"""The census: which processes belong to a stack, found from outside, whatever the stack says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from pathlib import Path


def of(data: Path, *urls: str) -> list[psutil.Process]:
    """Every living process of the stack with this data directory, the oldest first.

    That is one whose command line, directory or environment names the data directory, one whose
    command line names a URL of the stack, and whatever descends from such a process.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _belongs(process, str(data), urls):
                found[process.pid] = process
                found |= {child.pid: child for child in process.children(recursive=True)}
    living = [process for process in found.values() if alive(process)]
    return sorted(living, key=lambda process: process.create_time())


def alive(process: psutil.Process) -> bool:
    """Whether a process runs and is no zombie; another process of the same pid is not it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def told(processes: list[psutil.Process]) -> str:
    """Processes in words, for the message of a test that fails."""
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
