"""New files: found by their names, whenever their directories are made."""

from __future__ import annotations

import select
from contextlib import closing
from pathlib import Path

import pytest
from picloud_worker.system.new_files import NewFiles


def test_files_appear_once(tmp_path: Path) -> None:
    """Those that exist first, then each new one; other names are left out."""
    before = tmp_path / "a" / "in" / "it"
    before.parent.mkdir(parents=True)
    before.touch()

    with closing(NewFiles(tmp_path, ("in", "it"))) as files:
        assert list(files.read()) == [before]
        assert list(files.read()) == []

        after = tmp_path / "b" / "in" / "it"
        after.parent.mkdir(parents=True)
        (after.parent / "other").touch()
        (tmp_path / "b" / "other").mkdir()
        (after.parent / "other").rename(after)

        assert select.select([files], [], [], 10.0)[0]
        assert {*files.read()} == {after}
        after.unlink()
        after.touch()
        assert list(files.read()) == [after]


def test_a_directory_that_is_replaced_is_watched_no_longer(tmp_path: Path) -> None:
    """However often: the system has a number of watches for each user."""
    place, kept = tmp_path / "a" / "in", []
    place.parent.mkdir()

    with closing(NewFiles(tmp_path, ("in", "it"))) as files:
        for number in range(20):
            place.mkdir()
            assert list(files.read()) == []
            kept.append(place.rename(tmp_path / "a" / str(number)))
        place.mkdir()
        assert list(files.read()) == []
        watches = Path(f"/proc/self/fdinfo/{files.fileno()}").read_text().count("inotify wd")
        (kept[0] / "it").touch()
        assert list(files.read()) == []
        (place / "it").touch()
        assert list(files.read()) == [place / "it"]

    assert watches == 3


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link on the way does not lead to a file elsewhere."""
    (tmp_path / "elsewhere" / "in").mkdir(parents=True)
    (tmp_path / "elsewhere" / "in" / "it").touch()
    watched = tmp_path / "watched"
    (watched / "a").mkdir(parents=True)
    (watched / "a" / "in").symlink_to(tmp_path / "elsewhere" / "in")

    with closing(NewFiles(watched, ("in", "it"))) as files:
        assert list(files.read()) == []


def test_a_directory_must_exist(tmp_path: Path) -> None:
    """Otherwise nothing could ever be found."""
    with pytest.raises(OSError, match="cannot be watched"):
        NewFiles(tmp_path / "missing", ("it",))
