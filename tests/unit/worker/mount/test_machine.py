"""The process that mounts buckets in containers: whom it refuses, and when it ends."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_worker.mount.bucket_mount import BucketMount

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Path]:
    """The directory of slots whose requests a process handles."""
    slots = tmp_path / "slots"
    slots.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "picloud_worker.mount.machine", "--slots", str(slots)],
        stdin=subprocess.PIPE,
    )
    yield slots
    assert process.stdin
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="there are no containers")
def test_only_containers_get_a_mount(slots: Path, tmp_path: Path) -> None:
    """A process that shares the machine's mounts could hide files of others."""
    directory = slots / "a" / "alloc" / "bucket"
    directory.mkdir(parents=True)
    descriptor = os.open(directory, os.O_RDONLY)
    mount = BucketMount("http://127.0.0.1:9", "token", tmp_path, owner=(1, 1), container=descriptor)
    mount.use(selectors.DefaultSelector())

    refused = until(lambda: mount.reply().reason, "it is refused")

    assert "does not come from the supervisor of a container" in refused
    mount.close()
    os.close(descriptor)
