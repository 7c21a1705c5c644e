"""The kernel's reading ahead is set for the device of a mount, and a failure is ignored."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_worker.system.read_ahead import devices, set_read_ahead

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_set_for_the_device_of_the_mount(tmp_path: Path) -> None:
    """The directory stands for that of the kernel."""
    number = tmp_path.stat().st_dev
    setting = tmp_path / f"{os.major(number)}:{os.minor(number)}" / "read_ahead_kb"
    setting.parent.mkdir()
    setting.write_text("", encoding="ascii")
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)

    set_read_ahead(str(tmp_path), 1024 * 1024, directory)

    os.close(directory)
    assert setting.read_text(encoding="ascii") == "1024"


def test_what_cannot_be_set_is_left(tmp_path: Path) -> None:
    """A path that does not exist, and a system without such a directory."""
    with devices() as directory:
        set_read_ahead(str(tmp_path / "missing"), 1024, directory)
    set_read_ahead(str(tmp_path), 1024, -1)
