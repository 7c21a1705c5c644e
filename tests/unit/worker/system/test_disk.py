"""The disk of a slot: what is too large for it, and what only does not fit now."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from picloud_model.errors import RequestRefused, Unavailable
from picloud_worker.system import disk


def test_what_needs_half_of_the_disk_is_too_large(tmp_path: Path) -> None:
    """Anything smaller may fit once others have freed the disk."""
    total = disk.total_bytes(tmp_path)

    too_large = disk.no_room(tmp_path, total // 2)
    assert isinstance(too_large, RequestRefused)
    assert "disk of this slot is too small" in too_large.message
    assert isinstance(disk.no_room(tmp_path, total // 4), Unavailable)


def test_a_log_on_a_full_disk_loses_its_line() -> None:
    """The slot goes on; what it ends, it still ends."""
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails, too

    with contextlib.redirect_stderr(full):
        disk.write_log("a job ran on")

    with contextlib.suppress(OSError):
        full.close()


def test_what_a_slot_has_on_its_disk_is_that_of_its_own_file_systems(tmp_path: Path) -> None:
    """A directory of a larger one is not measured."""
    file_system = Path("/dev/shm")  # in memory, as those of containers are
    before = disk.used_bytes(file_system, [])
    with tempfile.NamedTemporaryFile(dir=file_system) as file:
        file.write(b"x" * 32_000_000)
        file.flush()
        after = disk.used_bytes(file_system, [tmp_path, tmp_path / "missing"])

    assert before is not None
    assert after is not None
    assert after - before > 16_000_000  # others use it, too
    assert disk.used_bytes(tmp_path, [file_system]) is None
    assert disk.used_bytes(tmp_path / "missing") is None
