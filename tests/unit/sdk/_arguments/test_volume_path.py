"""Paths in volumes: told from paths of this machine, and kept inside of the volume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloud._arguments.volume_path import VolumePath, parsed, volume_path
from cloud.errors import CloudException


@pytest.mark.parametrize(
    ("text", "path", "contents"),
    [
        ("v:", "", True),
        ("v:/", "", True),
        ("v:a", "a", False),
        ("v:/a//b/", "a/b", True),
        ("v:./a/.", "a", True),
        ("v:a:b", "a:b", False),
    ],
)
def test_a_path_in_a_volume(text: str, path: str, contents: bool) -> None:
    """Needless slashes and dots are dropped; one at the end says that the contents are meant."""
    assert parsed(text) == VolumePath("v", path, contents)


@pytest.mark.parametrize("path", ["a", "./v:a", "/x/v:a", "", Path("v:a")])
def test_other_paths_are_of_this_machine(path: Any) -> None:
    """As with rsync, a slash before the colon says so; `Path` objects always are."""
    assert parsed(path) is None


@pytest.mark.parametrize("text", ["v:..", "v:a/../../b", "v:a\0", 7, None, "none"])
def test_anything_else_is_refused(text: Any) -> None:
    """Nothing leads out of a volume."""
    with pytest.raises(CloudException):
        volume_path(text)
