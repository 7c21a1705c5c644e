"""`python -m bench.soak`: a million no-op jobs, and memory that stays flat.

Maps of 10,000 jobs run one after the other. After each, the private memory of the API and of every
slot is sampled. The first million jobs fill the API's cache of at most 96 MiB, and are not judged.
At the end a line is fitted through the later samples: it must not rise by more than the limit in a
million jobs.

    python -m bench.soak                            # the embedded stack
    python -m bench.soak --contender hashicorp --warm 100000 --jobs 200000
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bench.contenders.picloud import PiCloud
from bench.measures import identity
from bench.progress import Progress
from bench.registry import OURS

_LIMIT_MB = 40.0
"""What a million jobs may add, in MB: a leak of 40 bytes a job is detected."""
_ROOM_MB = 5.0
"""What a process may grow in a run too short to tell a slope from noise."""


class Sample(NamedTuple):
    """Memory of a kind of process, in MB, after a number of jobs."""

    jobs: int
    memory_mb: float


def main() -> None:
    """Read the command line, run, judge."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--contender", choices=OURS, default="embedded")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--warm", type=int, default=1_000_000, help="jobs before, not judged")
    parser.add_argument("--map", type=int, default=10_000, help="jobs of one map")
    parser.add_argument("--limit", type=float, default=_LIMIT_MB, help="MB a million jobs may add")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    contender = OURS[chosen.contender]()
    assert isinstance(contender, PiCloud)
    contender.start()
    try:
        samples = soak(contender, chosen.warm + chosen.jobs, chosen.map)
    finally:
        contender.stop()
    sys.exit(judge(samples, chosen.warm, chosen.limit))


def soak(contender: PiCloud, jobs: int, size: int) -> dict[str, list[Sample]]:
    """Run all jobs, and sample memory after each map; progress goes to stderr."""
    samples: dict[str, list[Sample]] = {"API": [], "slots": []}
    progress = Progress()
    started = time.monotonic()
    for done in range(size, jobs + 1, size):
        if contender.map(identity, range(size)) != list(range(size)):
            message = "a map returned wrong results"
            raise ValueError(message)
        for kind, pids in (("API", contender.server_pids()), ("slots", contender.slot_pids())):
            samples[kind].append(Sample(done, sum(map(private_mb, pids))))
        memory = ", ".join(
            f"{kind} {taken[-1].memory_mb:.0f} MB" for kind, taken in samples.items()
        )
        rate = done / (time.monotonic() - started)
        progress.tell(f"{done:,} of {jobs:,} jobs, {rate:,.0f}/s, {memory}")
    progress.end()
    return samples


def judge(samples: dict[str, list[Sample]], warm: int, limit_mb: float) -> int:
    """Print how memory developed; return 1 if it rose."""
    worst = 0
    for kind, seen in samples.items():
        judged = [sample for sample in seen if sample.jobs > warm]
        slope = statistics.linear_regression(
            [sample.jobs / 1e6 for sample in judged], [sample.memory_mb for sample in judged]
        ).slope
        span = (judged[-1].jobs - judged[0].jobs) / 1e6
        rose = slope > limit_mb and slope * span > _ROOM_MB
        worst |= rose
        first, last = judged[0].memory_mb, judged[-1].memory_mb
        print(
            f"{kind}: {first:.1f} MB after {judged[0].jobs:,} jobs, {last:.1f} MB after"
            f" {judged[-1].jobs:,}; that is {slope:+.1f} MB a million jobs"
            f" (<= {limit_mb:g}{' MISSED' if rose else ''})"
        )
    return worst


def private_mb(pid: int) -> float:
    """Return the memory that is freed when a process ends, in MB; 0 once it has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    lines = (line.split() for line in text.splitlines() if line.startswith("Private_"))
    return sum(int(line[1]) for line in lines) / 1024


if __name__ == "__main__":
    main()
