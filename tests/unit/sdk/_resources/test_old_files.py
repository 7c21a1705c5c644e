"""Removal of files that are no longer used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloud._resources.old_files import remove_old_files

if TYPE_CHECKING:
    from pathlib import Path


def test_only_old_files_are_removed(tmp_path: Path) -> None:
    """What cannot be removed, as a directory, stays and stops nothing."""
    for name in ("a", "new", "z"):
        (tmp_path / name).touch()
    (tmp_path / "directory").mkdir()
    for name in ("a", "directory", "z"):
        os.utime(tmp_path / name, (1.0, 1.0))

    remove_old_files(tmp_path, 60.0)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory", "new"]
