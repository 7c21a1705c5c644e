"""The memory of a slot: its limit, what is left, the peak, and whether the OOM killer struck."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

_MB: Final = 1024 * 1024
_CGROUPS: Final = Path("/sys/fs/cgroup")
_UNLIMITED: Final = 2**60
"""A control group of version 1 without a limit shows one above this."""


def _read(name: str) -> str:
    """Return a file of this process's control group, of either version; "" where it is missing."""
    try:
        groups = Path("/proc/self/cgroup").read_text().split()
    except OSError:
        return ""
    for line in groups:
        _, controllers, own = line.split(":", 2)
        if controllers in ("", "memory"):
            # A container sees its own group as the root.
            for group in (own.lstrip("/"), ""):
                with contextlib.suppress(OSError):
                    return (_CGROUPS / controllers / group / name).read_text()
    return ""


def limit_bytes() -> int | None:
    """Return the memory limit of a process here; None where there is none."""
    limits = [_cgroup_limit(_read)]
    if resource is not None:
        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits.append(None if soft == resource.RLIM_INFINITY else soft)
    return min((limit for limit in limits if limit is not None), default=None)


def left_bytes(read: Callable[[str], str] = _read) -> int | None:
    """Return how much memory the processes of this slot may still take; None without a limit.

    The page cache counts as left, for the system frees it when memory is needed.

    Args:
        read: Returns a file of the control group, "" where it is missing.
    """
    limit = _cgroup_limit(read)
    used = (read("memory.current") or read("memory.usage_in_bytes")).strip()
    if limit is None or not used.isdigit():
        return None
    stat = dict(line.partition(" ")[::2] for line in read("memory.stat").splitlines())
    cached = stat.get("total_inactive_file") or stat.get("inactive_file") or "0"
    return limit - int(used) + int(cached)


def peak_bytes() -> int:
    """Return the peak memory of this process; 0 where the system does not show it."""
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def oom_kills() -> int:
    """Return how many processes of this slot the kernel's OOM killer has ended."""
    return _counts(_read("memory.events") or _read("memory.oom_control")).get("oom_kill", 0)


def failures(read: Callable[[str], str] = _read) -> int | None:
    """Return how often the processes of this slot wanted more memory than its limit.

    None without a limit: then the control group, if there is one, is that of other processes, too.
    Version 1 counts memory, and memory with swap; where both stay 0 although the limit of both was
    hit, it still counts the processes that were killed.

    Args:
        read: Returns a file of the control group, "" where it is missing.
    """
    if _cgroup_limit(read) is None:
        return None
    counts = _counts(read("memory.events")) or _counts(read("memory.oom_control"))
    hit = counts.get("max", 0)
    for name in ("memory.failcnt", "memory.memsw.failcnt"):
        text = read(name).strip()
        hit += int(text) if text.isdigit() else 0
    return max(hit, counts.get("oom_kill", 0))


def _counts(text: str) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line."""
    lines = (line.partition(" ") for line in text.splitlines())
    return {name: int(number) for name, _, number in lines if number.isdigit()}


class OomWatch:
    """Notices that the OOM killer has ended a process of this slot."""

    def __init__(self) -> None:
        self._kills = oom_kills()

    def has_struck(self) -> bool:
        """Whether it has since the last call."""
        before, self._kills = self._kills, oom_kills()
        return self._kills > before


def out_of_memory(peak: int) -> str:
    """Return a message with the limit and the peak.

    >>> out_of_memory(3_000_000).endswith("peak 3 MB)")
    True
    """
    limit = limit_bytes()
    words = "unlimited here" if limit is None else f"limit {_mb(limit)}"
    return f"out of memory ({words}, peak {_mb(peak)})"


def _mb(size: int) -> str:
    return f"{round(size / _MB):,} MB"


def _cgroup_limit(read: Callable[[str], str]) -> int | None:
    for name in ("memory.max", "memory.limit_in_bytes"):
        text = read(name).strip()
        if text.isdigit() and int(text) < _UNLIMITED:
            return int(text)
    return None
