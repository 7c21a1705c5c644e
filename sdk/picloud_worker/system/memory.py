"""Memory: how much a job may have and has had, and whether the system ended it for that."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_MB: Final = 1024 * 1024
_CGROUPS: Final = Path("/sys/fs/cgroup")
_UNLIMITED: Final = 2**60
"""A control group of version 1 without a limit says that it has one beyond all bounds."""


def limit_bytes() -> int | None:
    """The most memory that a process here may have; None where nothing limits it."""
    known = [_cgroup_limit()]
    if resource is not None:
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        known.append(None if soft == resource.RLIM_INFINITY else soft)
    return min((each for each in known if each is not None), default=None)


def left_bytes() -> int | None:
    """How much memory the processes of this slot may still take; None where nothing limits them.

    What the system keeps of files in memory it gives back when somebody needs it.
    """
    limit = _cgroup_limit()
    used = (_read("memory.current") or _read("memory.usage_in_bytes")).strip()
    if limit is None or not used.isdigit():
        return None
    kept = dict(line.partition(" ")[::2] for line in _read("memory.stat").splitlines())
    cached = kept.get("total_inactive_file") or kept.get("inactive_file") or "0"
    return limit - int(used) + int(cached)


def peak_bytes() -> int:
    """The most memory that this process has had at once; 0 where the system does not tell."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def ended_by_system() -> int:
    """How many processes of this slot the system has ended for want of memory."""
    for line in (_read("memory.events") or _read("memory.oom_control")).splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.isdigit():
            return int(count)
    return 0


class Watch:
    """Notices that the system has ended a process of this slot."""

    def __init__(self) -> None:
        self._before = ended_by_system()

    def noticed(self) -> bool:
        """Whether it has since this was asked the last time."""
        before, self._before = self._before, ended_by_system()
        return self._before > before


def told(peak: int) -> str:
    """The limit and the peak in words.

    >>> told(3_000_000).endswith("peak 3 MB)")
    True
    """
    limit = limit_bytes()
    words = "unlimited here" if limit is None else f"limit {_mb(limit)}"
    return f"out of memory ({words}, peak {_mb(peak)})"


def _mb(size: int) -> str:
    return f"{round(size / _MB):,} MB"


def _cgroup_limit() -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = _read(name).strip()
        if text.isdigit() and int(text) < _UNLIMITED:
            return int(text)
    return None


def _read(name: str) -> str:
    """A file of this process's control group, of either version; empty where there is none."""
    try:
        listed = Path("/proc/self/cgroup").read_text().split()
    except OSError:
        return ""
    for line in listed:
        _, controllers, own = line.split(":", 2)
        if controllers in ("", "memory"):
            # A container sees its own group in the place of the topmost one.
            for group in (own.lstrip("/"), ""):
                with contextlib.suppress(OSError):
                    return (_CGROUPS / controllers / group / name).read_text()
    return ""
