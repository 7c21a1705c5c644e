"""Dying together: no process of a slot outlives its supervisor, nor what a job started its child.

Linux does it in the kernel (`prctl`); elsewhere the end of a socket has to do, which each process
of a slot watches as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Final

_SET_PDEATHSIG: Final = 1
_SET_DUMPABLE: Final = 4
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38


def set_parent_death_signal(parent: int, signum: int) -> None:
    """Have the kernel send `signum` to this process when `parent` dies; end now if it has."""
    _prctl(_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, however they detached themselves."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Keep processes of the same user from reading this one's memory, and the token in it."""
    _prctl(_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Let processes of the same user look at this one again: for children, which have no secret."""
    _prctl(_SET_DUMPABLE, 1)


def set_no_new_privs() -> None:
    """Keep this process, and all that it starts, from more rights than it has: NoNewPrivs.

    Raises:
        OSError: When the system refuses.
    """
    if _libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs is refused")


def prefer_oom_kill() -> None:
    """When memory runs out, have the kernel end this process before any other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def children() -> set[int]:
    """Process ids of this process's children; empty where the system does not tell."""
    me = os.getpid()
    try:
        return {int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()}
    except OSError:
        return set()


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc().prctl(option, value, 0, 0, 0)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
