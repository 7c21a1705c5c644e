"""What is measured of memory: after many single calls, of client, API and slots."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.work import increased

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS: Final = 100_000
_THREADS: Final = 8
_BATCH: Final = 1000


def calls(contender: Any) -> dict[str, float]:
    """Memory of a client that made 100,000 calls and read each result, of the API and of a slot.

    Half of the calls are made first, which fill the caches of the API. How much it grows with the
    other half shows what it would have after a million.
    """
    contender.map(increased, range(100))
    _call(contender, CALLS // 2)
    servers = contender.server_pids()
    before = max(pss_mb(pid) for pid in servers)
    _call(contender, CALLS // 2)
    gc.collect()
    after = max(pss_mb(pid) for pid in servers)
    growth = (after - before) / (CALLS // 2)
    slots = contender.slot_pids()
    return {
        "client_calls": pss_mb(os.getpid()),
        "server_calls": after + max(0.0, growth) * (1_000_000 - CALLS),
        "slot": sum(map(pss_mb, slots)) / contender.slots,
    }


def pss_mb(pid: int) -> float:
    """Return the memory of a process in MB; pages that several share count in parts."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _call(contender: Any, count: int) -> None:
    def some(numbers: Sequence[int]) -> None:
        for number in numbers:
            if contender.call(increased, number) != number + 1:
                raise RuntimeError("wrong results")

    starts = range(0, count, _BATCH)
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(some, [range(each, each + _BATCH) for each in starts]))
