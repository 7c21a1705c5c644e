"""`python -m bench.syncs`: volumes synchronized and mounted, with rsync besides on the same disk.

first       10,000 files of 1 KiB are stored in a volume
unchanged   the same again
changed     10 files among them have changed
mounted     a job mounts the volume and ends, on a machine that has fetched it before
one         a job changes one file

Ours goes to the server and S3; rsync, where it is installed, copies to another directory.

    python -m bench.syncs                        # 1 minute
    python -m bench.syncs --files 1000 --runs 1
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.contenders.picloud import HashiCorp
from bench.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES_A_FOLDER: Final = 100
_BYTES: Final = 1024
_CHANGED: Final = 10


class SyncGoal(NamedTuple):
    """A row of the table; `most_s` is how long it may take."""

    name: str
    most_s: float | None


GOALS: Final = {
    "first": SyncGoal("first sync", None),
    "unchanged": SyncGoal("sync, nothing changed", 2.0),
    "changed": SyncGoal(f"sync, {_CHANGED} files changed", 2.5),
    "mounted": SyncGoal("job that mounts it", None),
    "one": SyncGoal("job that changes a file", None),
}


class SyncedFolder:
    """A directory of files, its volume, and its copy by rsync."""

    def __init__(self, home: Path, files: int) -> None:
        self._folder, self._copy = home / "files", home / "copy"
        self._paths = [
            self._folder / f"{number // _FILES_A_FOLDER:04}" / f"{number:07}"
            for number in range(files)
        ]
        for path in self._paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(_BYTES))

    def change(self) -> None:
        """Write other bytes to some files."""
        for path in self._paths[:: max(1, len(self._paths) // _CHANGED)][:_CHANGED]:
            path.write_bytes(os.urandom(_BYTES))

    def sync(self, volume: str) -> None:
        """Synchronize it with the volume."""
        import cloud

        cloud.volume.sync(f"{self._folder}/", f"{volume}:")

    def rsync(self) -> None:
        """Synchronize it with another directory; nothing where rsync is not installed."""
        if shutil.which("rsync"):
            subprocess.run(["rsync", "-a", f"{self._folder}/", self._copy], check=True)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.syncs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--files", type=int, default=10_000, help="number of files")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measure")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    contender = HashiCorp(slots=1)
    contender.start()
    try:
        runs = _measure(contender.home, chosen)
    finally:
        contender.stop()
    print(_table(runs))


def _measure(home: Path, chosen: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each run, ours and those of rsync."""
    import cloud

    progress = Progress()
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in GOALS}
    for run in range(chosen.runs):
        name = f"bench{run}"
        folder = SyncedFolder(home / name, chosen.files)
        cloud.volume.create(name, f"/{name}")
        for step in ("first", "unchanged", "changed"):
            progress.tell(f"{step}, run {run + 1} of {chosen.runs}")
            if step == "changed":
                folder.change()
            runs[step].append((_seconds(folder.sync, name), _seconds(folder.rsync)))
        _run(_nothing, name)
        for step, function in (("mounted", _nothing), ("one", _write)):
            progress.tell(f"{step}, run {run + 1} of {chosen.runs}")
            runs[step].append((_seconds(_run, function, name), 0.0))
    progress.end()
    return runs


def _run(function: Callable[[str], None], volume: str) -> None:
    """Run a job that mounts a volume."""
    import cloud

    cloud.result(cloud.call(function, volume, _vol=volume))


def _nothing(_: str) -> None:
    """Change nothing."""


def _write(volume: str) -> None:
    """Change a file."""
    import cloud

    (Path(cloud.volume.path(volume)) / "new").write_bytes(os.urandom(_BYTES))


def _table(runs: dict[str, list[tuple[float, float]]]) -> str:
    lines = [f"{'median of the runs':<26}{'ours':>10}{'rsync':>10}  goal"]
    for name, goal in GOALS.items():
        ours, theirs = (statistics.median(side) for side in zip(*runs[name], strict=True))
        other = f"{theirs:>8.2f} s" if theirs else f"{'-':>10}"
        missed = "  MISSED" if goal.most_s is not None and ours > goal.most_s else ""
        limit = "" if goal.most_s is None else f"  <= {goal.most_s:.1f} s{missed}"
        lines.append(f"{goal.name:<26}{ours:>8.2f} s{other}{limit}")
    return "\n".join(lines)


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
