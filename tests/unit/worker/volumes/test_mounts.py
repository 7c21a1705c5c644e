"""The volumes of a container as its supervisor sees them; with a machine: mount/test_machine.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_worker.volumes.mounts import VolumeMounts

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_machine_nothing_is_mounted(tmp_path: Path) -> None:
    """Outside of containers, and where no process handles requests; nothing waits."""
    directory = os.open(tmp_path, os.O_RDONLY)
    for container in (None, directory):
        volumes = VolumeMounts(container, tmp_path, 1)
        assert "no process of the machine" in volumes.mount({"/data": "/work/data"}).reason
        volumes.unmount(["/data"])
        volumes.close()
    os.close(directory)
