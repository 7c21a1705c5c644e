"""Leftovers: threads and processes a job leaves behind, which end with its interpreter."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

from picloud_worker.system import process_lifetime

GRACE_S: Final = 0.03
"""How long what is just ending may take to be gone."""
_STEP_S: Final = 0.005
_waitid = getattr(os, "waitid", None)  # macOS has none


def alone() -> bool:
    """Whether nothing runs beside the main thread; costs a microsecond."""
    return threading.active_count() == 1 and not _processes_left()


def leftovers() -> list[str]:
    """What runs beside the main thread, in words, and is not just about to end."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        time.sleep(_STEP_S)
        if alone():
            return []
    main = threading.main_thread()
    threads = [f"thread {thread.name!r}" for thread in threading.enumerate() if thread is not main]
    return threads + [
        f"process {pid} ({_command(pid)})" for pid in sorted(process_lifetime.children())
    ]


def _processes_left() -> bool:
    """Whether a child process lives; those that ended without being waited for are reaped."""
    if _waitid is None:
        return False
    try:
        while (ended := _waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _command(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "?"
    return command.replace(b"\0", b" ").decode(errors="replace").strip()[:80]
