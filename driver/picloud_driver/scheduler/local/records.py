"""Records of the local scheduler on disk, so that slots outlive the server that started them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from picloud_driver import disk
from picloud_driver.scheduler.port import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOGS_KEPT: Final = 20
TAIL_BYTES: Final = 2048


class SlotRecord(msgspec.Struct, frozen=True):
    """A place and its process; `birth` tells that process from a later one with the same pid."""

    placement: Placement
    pid: int
    birth: str


class SlotRecords:
    """A record, a work directory and a log for each place, and a count for each burst.

    Nothing is synced to disk, as no slot survives a power cut.
    """

    def __init__(self, root: Path) -> None:
        self._slots = root / "slots"
        self._bursts = root / "bursts"
        disk.private_directory(self._slots)
        disk.private_directory(self._bursts)
        self._sweep()

    # --- bursts ---

    def take(self, burst: str, count: int) -> bool:
        """Return whether one more slot of a burst may be started, and count it as started."""
        started = self._started(burst)
        if started >= count:
            return False
        (self._bursts / burst).write_text(str(started + 1))
        return True

    def give_back(self, burst: str) -> None:
        """Take back the count of a slot that could not be started."""
        (self._bursts / burst).write_text(str(self._started(burst) - 1))

    def stop(self, burst: str) -> None:
        """Record that no more slots of a burst may be started."""
        (self._bursts / burst).write_text("stopped")

    def _started(self, burst: str) -> int:
        try:
            return int((self._bursts / burst).read_text())
        except FileNotFoundError:
            return 0
        except ValueError:
            # Stopped, or truncated by a crash: one slot too few is noticed, one too many is not.
            return sys.maxsize

    # --- places ---

    def places(self) -> list[str]:
        """Return every place with a record."""
        names = os.listdir(self._slots)  # noqa: PTH208 - only the names are needed
        return [name.removesuffix(".json") for name in names if _is_record(name)]

    def read(self, place: str) -> SlotRecord | None:
        """Return the record of a place, or None; a record damaged by a power cut is removed."""
        path = self._slots / f"{place}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=SlotRecord)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            path.unlink(missing_ok=True)
            return None

    def write(self, record: SlotRecord) -> None:
        """Write the record of a place."""
        path = self._slots / f"{record.placement.place}.json"
        disk.replace(path, msgspec.json.encode(record), sync=False)

    def forget(self, places: Iterable[str]) -> None:
        """Remove the records of places that ended."""
        for place in places:
            (self._slots / f"{place}.json").unlink(missing_ok=True)

    def make_directory(self, place: str) -> Path:
        """Make the work directory of a new place."""
        directory = self._slots / place
        directory.mkdir(disk.PRIVATE_DIRECTORY)
        return directory

    def log(self, place: str) -> Path:
        """Return the log of a slot's own output; the slot captures the output of its jobs."""
        return self._slots / f"{place}.log"

    def tail(self, place: str) -> str:
        """Return the end of a slot's log, "" if it cannot be read."""
        with contextlib.suppress(OSError), self.log(place).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()
        return ""

    def clean(self, places: Iterable[str]) -> None:
        """Remove the work directories of places, and all but the newest logs."""
        for place in places:
            shutil.rmtree(self._slots / place, ignore_errors=True)
        logs = [path for path in self._slots.glob("*.log") if not self._has_record(path.stem)]
        for path in sorted(logs, key=_modified)[:-LOGS_KEPT]:
            path.unlink(missing_ok=True)

    def _has_record(self, place: str) -> bool:
        return (self._slots / f"{place}.json").exists()

    def _sweep(self) -> None:
        """Remove what old crashes and bursts have left."""
        places = self.places()
        for path in disk.stale(self._bursts):
            if not any(place.startswith(f"{path.name}-") for place in places):
                path.unlink(missing_ok=True)
        for path in disk.stale(self._slots):
            if path.is_dir() and not self._has_record(path.name):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith("."):
                path.unlink(missing_ok=True)


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _modified(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
