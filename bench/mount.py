"""The bucket as files, compared with s3fs over the same S3 server: the rows of `bench.transfers`.

s3fs runs without its caches: with them, it shows what others have deleted, and cuts off what others
have written. Both take turns within a run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.measures import memory_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MIB: Final = 1024 * 1024
_SMALL: Final = 1024
_LARGE_MIB: Final = 256
_SPARSE_MIB: Final = 100
_MOUNT_S: Final = 20.0


class MountRow(NamedTuple):
    """A row of the table; `least` is the lowest rate compared with that of s3fs."""

    name: str
    least: float


ROWS: Final = {
    "open": MountRow("open and read 1 KiB, 200", 1 / 0.8),
    "close": MountRow("write and close 1 KiB, 100", 1 / 0.7),
    "read": MountRow("read of 256 MiB", 1.5),
    "write": MountRow("write of 256 MiB", 1.5),
}


class Limit(NamedTuple):
    """A row without a counterpart: the most that ours may take."""

    name: str
    unit: str
    most: float


LIMITS: Final = {
    "fetched": Limit("fetched for 10 bytes of 100 MiB", "MiB", 1.0),
    "memory": Limit("memory of the mount", "MB", 40.0),
    "start": Limit("mounted after", "s", 0.2),
}


class Measured(NamedTuple):
    """Seconds of each run by row, ours and those of s3fs; and what ours took, by limit."""

    runs: dict[str, list[tuple[float, float]]]
    taken: dict[str, float]


def measure(home: Path, s3: Mapping[str, str], runs: int, tell: Callable[[str], None]) -> Measured:
    """Measure both mounts.

    Args:
        home: A directory for what they need.
        s3: The variables of the stack, which name its S3.
        runs: How many runs.
        tell: Shows what is running.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ROWS}
    with _ours(home) as (ours, pid, start_s), _s3fs(home, s3) as theirs:
        for run in range(runs):
            for name, work in _WORK.items():
                tell(f"mount: {name}, run {run + 1} of {runs}")
                times[name].append((_seconds(work, ours), _seconds(work, theirs)))
        tell("mount: 10 bytes of 100 MiB")
        taken = {"fetched": _fetched_mib(ours, home), "start": start_s}
        taken["memory"] = memory_mb(pid, "VmHWM")
    return Measured(times, taken)


def table(measured: Measured) -> str:
    """Return the rows, with the goals that were missed."""
    lines = [f"{'/bucket, median of the runs':<34}{'ours':>10}{'s3fs':>10}{'rate':>8}  goal"]
    for name, row in ROWS.items():
        runs = measured.runs[name]
        ours, theirs = (sorted(side)[len(side) // 2] for side in zip(*runs, strict=True))
        ratio = sorted(other / own for own, other in runs)[len(runs) // 2]
        missed = "  MISSED" if ratio < row.least else ""
        lines.append(
            f"{row.name:<34}{ours:>8.2f} s{theirs:>8.2f} s{ratio:>8.2f}  >= {row.least:.2f}{missed}"
        )
    for name, limit in LIMITS.items():
        taken = measured.taken[name]
        missed = "  MISSED" if taken > limit.most else ""
        shown = f"{taken:.2f} {limit.unit}"
        lines.append(f"{limit.name:<34}{shown:>10}{'':>18}  <= {limit.most:g}{missed}")
    return "\n".join(lines)


def _open(folder: Path) -> None:
    file = folder / "small"
    for _ in range(200):
        if len(file.read_bytes()) != _SMALL:
            message = f"{file} was cut off: the time means nothing"
            raise ValueError(message)


def _close(folder: Path) -> None:
    data = os.urandom(_SMALL)
    for number in range(100):
        (folder / f"small{number}").write_bytes(data)


def _read(folder: Path) -> None:
    with (folder / "large").open("rb", buffering=0) as file:
        size = 0
        while block := file.read(_MIB):
            size += len(block)
    if size != _LARGE_MIB * _MIB:
        message = f"{size} bytes were read: the time means nothing"
        raise ValueError(message)


def _write(folder: Path) -> None:
    block = os.urandom(_MIB)
    with (folder / "written").open("wb", buffering=0) as file:
        for _ in range(_LARGE_MIB):
            file.write(block)


_WORK: Final[Mapping[str, Callable[[Path], None]]] = {
    "open": _open,
    "close": _close,
    "read": _read,
    "write": _write,
}


def _fetched_mib(folder: Path, home: Path) -> float:
    """Return how much the S3 server sends while 10 bytes in the middle of a file are read."""
    before = _sent_bytes(home)
    with (folder / "sparse").open("rb", buffering=0) as file:
        file.seek(_SPARSE_MIB * _MIB // 2)
        if len(file.read(10)) != 10:
            message = "fewer than 10 bytes were read"
            raise ValueError(message)
    return (_sent_bytes(home) - before) / _MIB


def _sent_bytes(home: Path) -> int:
    """Return what the S3 server of this stack has written so far, to sockets above all."""
    import psutil

    sent = 0
    for each in psutil.process_iter(["cmdline"]):
        command = each.info["cmdline"] or [""]
        if "versitygw" in command[0] and str(home) in " ".join(command):
            sent += each.io_counters().write_chars
    if not sent:
        raise RuntimeError("No versitygw of this stack runs.")
    return sent


@contextlib.contextmanager
def _ours(home: Path) -> Iterator[tuple[Path, int, float]]:
    """Mount the bucket as a slot does; yield a folder in it, the process, and the time it took."""
    import psutil
    from cloud._client.current import client
    from picloud_worker.mount.bucket_mount import BucketMount

    copies = home / "copies"
    copies.mkdir(exist_ok=True)
    address = client().transport.address
    owner = (os.getuid(), os.getgid())
    mount = BucketMount(address.url, address.key, copies, owner=owner)
    try:
        start = time.perf_counter()
        while not (reply := mount.reply()).ready:
            if reply.reason or time.perf_counter() - start > _MOUNT_S:
                raise RuntimeError(reply.reason or "The bucket was not mounted in time.")
            time.sleep(0.002)
        start_s = time.perf_counter() - start
        (process,) = (
            each.pid
            for each in psutil.Process().children()
            if "picloud_worker.mount" in each.cmdline()
        )
        yield _filled(Path(reply.path) / "mounted"), process, start_s
    finally:
        mount.close()


@contextlib.contextmanager
def _s3fs(home: Path, s3: Mapping[str, str]) -> Iterator[Path]:
    """Mount the S3 bucket by s3fs without caches; yield a folder in it."""
    password = home / "s3fs-password"
    password.write_text(f"{s3['AWS_ACCESS_KEY_ID']}:{s3['AWS_SECRET_ACCESS_KEY']}")
    password.chmod(0o600)
    at = tempfile.mkdtemp(prefix="picloud-s3fs-")
    options = {
        "passwd_file": password,
        "url": s3["PICLOUD_S3_ENDPOINT"],
        "endpoint": s3["PICLOUD_S3_REGION"],
        "max_stat_cache_size": 0,
        "stat_cache_expire": 1,
    }
    named = ",".join(f"{name}={value}" for name, value in options.items())
    command = ["s3fs", s3["PICLOUD_S3_BUCKET"], at, "-f", "-o", f"{named},use_path_request_style"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        start = time.perf_counter()
        while not Path(at).is_mount():
            if process.poll() is not None or time.perf_counter() - start > _MOUNT_S:
                raise RuntimeError("s3fs did not mount the bucket.")
            time.sleep(0.01)
        yield _filled(Path(at) / "bench" / "mounted")
    finally:
        process.terminate()
        process.wait()
        Path(at).rmdir()


def _filled(folder: Path) -> Path:
    """Write what is read."""
    folder.mkdir(parents=True)
    (folder / "small").write_bytes(os.urandom(_SMALL))
    for name, size in (("large", _LARGE_MIB), ("sparse", _SPARSE_MIB)):
        with (folder / name).open("wb") as file:
            for _ in range(size):
                file.write(os.urandom(_MIB))
    return folder


def _seconds(work: Callable[[Path], Any], folder: Path) -> float:
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start
