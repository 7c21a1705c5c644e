"""Ties the lifetimes of a slot's processes: all end with the supervisor that they descend from.

On Linux the kernel does it (`prctl`). Everywhere each process of a slot also watches for the end of
the socket to its parent.
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
    """Let the kernel send `signum` to this process when `parent` dies; exit if it has died."""
    _prctl(_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies, even of detached ones."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Keep processes of the same user from reading the memory of this one, with the token in it."""
    _prctl(_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Undo `hide_memory`, for children, which have no secret."""
    _prctl(_SET_DUMPABLE, 1)


def set_no_new_privs() -> None:
    """Keep this process and all that it starts from gaining rights: NoNewPrivs.

    Raises:
        OSError: When the system refuses.
    """
    if _libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "the system refuses no_new_privs")


def prefer_oom_kill() -> None:
    """Let the OOM killer choose this process before any other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def children() -> set[int]:
    """Return the process ids of this process's children; empty where there is no procfs."""
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
