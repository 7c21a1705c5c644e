"""`python -m bench.transfers`: objects of a bucket compared with boto3, on the same S3 server.

put, get   a file of 1 GiB: `cloud.bucket.put` and `get`, boto3's `upload_file` and `download_file`
small      2,000 objects of 4 KiB, put by 8 threads
list       100,000 keys listed
memory     the peak memory of a client process that puts and gets the file
/bucket    files in the bucket as a job has it mounted, compared with s3fs, if it is installed

Both take turns within a run, so that a machine that slows down slows both. Each ratio is the median
of the ratios of all runs.

    python -m bench.transfers                    # 5 minutes
    python -m bench.transfers --mib 256 --objects 500 --keys 5000 --runs 3
    python -m bench.transfers --json transfers.json
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench import mount
from bench.contenders.picloud import HashiCorp
from bench.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_THREADS: Final = 8
_OBJECT_BYTES: Final = 4096
_MIB: Final = 1024 * 1024
_MEMORY_SCRIPT: Final = """
import os, sys, cloud
from bench.measures import memory_mb
cloud.bucket.put(sys.argv[1], "memory")
cloud.bucket.get("memory", sys.argv[2])
print(memory_mb(os.getpid(), "VmHWM"))
"""


class Goal(NamedTuple):
    """A row of the table; `least` is the lowest rate compared with that of boto3."""

    name: str
    least: float


GOALS: Final = {
    "put": Goal("put of one file", 0.9),
    "get": Goal("get of one file", 0.9),
    "small": Goal("small objects, 8 threads", 1.0),
    "list": Goal("listing of keys", 1 / 1.2),
}
MEMORY_MB: Final = 120.0
"""The most memory that a client may take, however large the file is."""


class Sides:
    """The same operations by `cloud.bucket` and by boto3."""

    def __init__(self, home: Path, mib: int) -> None:
        import boto3
        from botocore.config import Config
        from cloud import bucket

        named = _environment(_stack_file(home))
        self._bucket = bucket
        self._name = named["PICLOUD_S3_BUCKET"]
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=named["PICLOUD_S3_ENDPOINT"],
            region_name=named["PICLOUD_S3_REGION"],
            aws_access_key_id=named["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=named["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", max_pool_connections=2 * _THREADS),
        )
        self.file, self._copy = home / "file", home / "copy"
        with self.file.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(_MIB))

    def put(self) -> Sequence[Callable[[], Any]]:
        """Store the file."""
        return (
            lambda: self._bucket.put(self.file, "file"),
            lambda: self._s3.upload_file(str(self.file), self._name, "bench/file"),
        )

    def get(self) -> Sequence[Callable[[], Any]]:
        """Fetch the file."""
        self._copy.unlink(missing_ok=True)
        return (
            lambda: self._bucket.get("file", self._copy),
            lambda: self._s3.download_file(self._name, "bench/file", f"{self._copy}-boto3"),
        )

    def small(self, count: int) -> Sequence[Callable[[], Any]]:
        """Put objects in threads."""
        data = os.urandom(_OBJECT_BYTES)

        def ours(number: int) -> None:
            self._bucket.putf(data, f"small/{number:07d}")

        def theirs(number: int) -> None:
            self._s3.put_object(Bucket=self._name, Key=f"bench/small/{number:07d}", Body=data)

        return (lambda: _in_threads(ours, count), lambda: _in_threads(theirs, count))

    def list(self, count: int) -> Sequence[Callable[[], Any]]:
        """List all keys of a prefix."""

        def ours() -> None:
            _check(sum(1 for _ in self._bucket.iterlist("small/")), count)

        def theirs() -> None:
            pages = self._s3.get_paginator("list_objects_v2")
            listed = pages.paginate(Bucket=self._name, Prefix="bench/small/")
            _check(sum(len(page["Contents"]) for page in listed), count)

        return ours, theirs


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.transfers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--objects", type=int, default=2000, help="number of small objects")
    parser.add_argument("--keys", type=int, default=100_000, help="number of keys to list")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measure")
    parser.add_argument("--json", type=Path, default=Path("bench/results/transfers.json"))
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    contender = HashiCorp(slots=1)
    contender.start()
    try:
        measured = _measure(Sides(contender.home, chosen.mib), chosen)
        mounted = _mounted(contender.home, chosen.runs)
    finally:
        contender.stop()
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    rows = {**measured, "mount": mounted._asdict() if mounted else None}
    chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"{_table(measured)}\n")
    print(mount.table(mounted) if mounted else "s3fs is not installed: /bucket was not measured.")
    print(f"\nEvery run: {chosen.json}")


def _measure(sides: Sides, chosen: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of each run, ours and boto3's, and the memory of a client in MB."""
    progress = Progress()
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in GOALS}
    for run in range(chosen.runs):
        for name, make in (
            ("put", sides.put),
            ("get", sides.get),
            ("small", lambda: sides.small(chosen.objects)),
        ):
            progress.tell(f"{name}, run {run + 1} of {chosen.runs}")
            ours, theirs = make()
            runs[name].append((_seconds(ours), _seconds(theirs)))
    progress.tell(f"writing {chosen.keys:,} keys")
    for write in sides.small(chosen.keys):
        write()
    keys = max(chosen.keys, chosen.objects)
    for run in range(chosen.runs):
        progress.tell(f"list, run {run + 1} of {chosen.runs}")
        ours, theirs = sides.list(keys)
        runs["list"].append((_seconds(ours), _seconds(theirs)))
    progress.tell("memory")
    memory_mb = _memory_mb(sides.file)
    progress.end()
    return {"runs": runs, "memory_mb": memory_mb}


def _mounted(home: Path, runs: int) -> mount.Measured | None:
    """Measure the mount, if there is an s3fs."""
    if shutil.which("s3fs") is None:
        return None
    progress = Progress()
    try:
        return mount.measure(home, _environment(_stack_file(home)), runs, progress.tell)
    finally:
        progress.end()


def _stack_file(home: Path) -> Path:
    return home / "data" / "stack" / "environment"


def _memory_mb(file: Path) -> float:
    command = [sys.executable, "-c", _MEMORY_SCRIPT, file, f"{file}-again"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _table(measured: dict[str, Any]) -> str:
    lines = [f"{'median of the runs':<26}{'ours':>10}{'boto3':>10}{'rate':>8}  goal"]
    for name, goal in GOALS.items():
        runs = measured["runs"][name]
        ours, theirs = (statistics.median(side) for side in zip(*runs, strict=True))
        ratio = statistics.median(theirs / ours for ours, theirs in runs)
        missed = "  MISSED" if ratio < goal.least else ""
        lines.append(
            f"{goal.name:<26}{ours:>8.2f} s{theirs:>8.2f} s{ratio:>8.2f}"
            f"  >= {goal.least:.2f}{missed}"
        )
    memory_mb = measured["memory_mb"]
    missed = "  MISSED" if memory_mb > MEMORY_MB else ""
    lines.append(f"{'client memory':<26}{memory_mb:>7.0f} MB{'':>18}  <= {MEMORY_MB:.0f}{missed}")
    return "\n".join(lines)


def _environment(file: Path) -> dict[str, str]:
    """Return the variables of a file of `export` lines."""
    named = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, value = shlex.split(line)[1].partition("=")
        named[name] = value
    return named


def _in_threads(put: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(put, range(count)):
            pass


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _check(found: int, expected: int) -> None:
    if found != expected:
        message = f"{found} keys were listed, not {expected}: the time means nothing"
        raise ValueError(message)


if __name__ == "__main__":
    main()
