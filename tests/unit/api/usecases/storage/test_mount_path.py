"""Mount paths: where a volume may be in a job."""

from __future__ import annotations

import pytest
from picloud_api.usecases.storage.mount_path import checked_mount_path
from picloud_model.errors import RequestRefused


@pytest.mark.parametrize(
    "path", ["", "data", "/", "//", "/usr", "/usr/local/x", "/home", "/tmp", "/a/../etc", "/a\0b"]
)
def test_a_mount_path_hides_nothing_that_programs_need(path: str) -> None:
    """A path has to be absolute, and not one of the system's directories."""
    with pytest.raises(RequestRefused) as refused:
        checked_mount_path(path)

    assert refused.value.field == "mount_path"


@pytest.mark.parametrize("path", ["/data", "/home/me/data", "/tmp/data", "/var/data", "/opt"])
def test_other_mount_paths_are_allowed(path: str) -> None:
    """A path is used as it was given."""
    assert checked_mount_path(path) == path
