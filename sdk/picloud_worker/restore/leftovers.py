"""Finds threads and processes that a job leaves running, which end with its interpreter.

What libraries run for the interpreter itself is none of them: tqdm's monitor thread is ended, the
workers that joblib keeps for its next call and the fork server of multiprocessing as well, and the
processes that track what others use stay, as they end with the interpreter by themselves.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, Final

from picloud_worker.system import process_lifetime

FORK_S: Final = 30e-6
"""Less than a process takes to start: a fork of this interpreter took 100 microseconds at best."""
GRACE_S: Final = 0.03
"""How long what is about to end may take."""
_STEP_S: Final = 0.005
_TQDM: Final = "tqdm._monitor"
_LOKY: Final = ("loky", "joblib.externals.loky")
_TRACKERS: Final = (
    "multiprocessing.resource_tracker",
    *(f"{name}.backend.resource_tracker" for name in _LOKY),
)
_FORK_SERVER: Final = "multiprocessing.forkserver"
_waitid = getattr(os, "waitid", None)  # macOS has none


def alone(seconds: float = inf) -> bool:
    """Whether nothing runs besides the main thread, after a job that took some seconds.

    A job that was quicker than any system starts a process is asked about threads only: to ask the
    kernel takes longer than many a job.
    """
    return threading.active_count() == 1 and (seconds < FORK_S or not _runs_processes())


def leftovers() -> list[str]:
    """Return, in words, what runs besides the main thread and does not end within a moment."""
    _end_helpers()
    deadline = time.monotonic() + GRACE_S
    while not alone():
        if time.monotonic() > deadline:
            return _described()
        time.sleep(_STEP_S)
    return []


def _described() -> list[str]:
    main = threading.main_thread()
    threads = [f"thread {thread.name!r}" for thread in threading.enumerate() if thread is not main]
    return threads + [f"process {pid} ({_command(pid)})" for pid in sorted(_processes())]


def _runs_processes() -> bool:
    """Whether a child process lives; those that ended without being waited for are reaped."""
    if _waitid is None:
        return False
    try:
        while (ended := _waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        return False
    return bool(_processes())


def _processes() -> set[int]:
    """Return the child processes except for those that belong to the interpreter."""
    own: set[Any] = {
        getattr(getattr(sys.modules.get(name), "_resource_tracker", None), "_pid", None)
        for name in _TRACKERS
    }
    return process_lifetime.children() - own


def _end_helpers() -> None:
    """End what libraries keep for their next call, and start anew when they need it."""
    # These are others' classes, and a job may have changed them.
    with suppress(Exception):
        for thread in threading.enumerate():
            if type(thread).__module__ == _TQDM:
                monitor: Any = thread
                monitor.exit()
        for name in _LOKY:
            executor: Any = getattr(sys.modules.get(f"{name}.reusable_executor"), "_executor", None)
            if executor is not None:
                executor.shutdown(wait=True, kill_workers=True)
        # Whatever it forks has the environment of the job that it was started by.
        server: Any = getattr(sys.modules.get(_FORK_SERVER), "_forkserver", None)
        pid = getattr(server, "_forkserver_pid", None)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)  # by itself it would wait for processes that it forked
            server._stop()  # noqa: SLF001 - there is no public way


def _command(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "?"
    return command.replace(b"\0", b" ").decode(errors="replace").strip()[:80]
