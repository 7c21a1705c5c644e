"""The process that mounts buckets: it outlives the command that has started it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_driver.process import Process
from picloud_driver.stack import records
from picloud_driver.stack.bucket_mounts import BucketMounts

if TYPE_CHECKING:
    from pathlib import Path

_START = """
import sys
from pathlib import Path
from picloud_driver.stack.bucket_mounts import BucketMounts
BucketMounts(Path(sys.argv[1]), {"PATH": "/usr/bin:/bin"}).start(Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts anything")
def test_it_outlives_the_command_that_started_it(tmp_path: Path) -> None:
    """A later command finds it, does not start another one or undo it, and can end it."""
    folder, slots = tmp_path / "stack", tmp_path / "slots"
    slots.mkdir()
    subprocess.run([sys.executable, "-c", _START, folder, slots], check=True, timeout=60)
    record = records.read(folder / "mounts.json", records.ProcessRecord, "")
    assert record is not None
    process = Process.find(record.pid, record.birth)
    assert process is not None
    later = BucketMounts(folder, {"PATH": "/usr/bin:/bin"})

    later.start(slots)
    later.undo()

    assert later.ended() == []
    assert process.alive()
    assert later.stop() == []
    assert not process.alive()
    assert later.ended() == []
    process.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts anything")
def test_it_is_started_again(tmp_path: Path) -> None:
    """Once it has ended by itself; a start that fails later ends it."""
    mounts = BucketMounts(tmp_path / "stack", {"PATH": "/usr/bin:/bin"})
    mounts.start(tmp_path)
    BucketMounts(tmp_path / "stack", {}).stop()

    assert mounts.ended() == ["the process that mounts buckets"]
    mounts.start(tmp_path)
    assert mounts.ended() == []
    record = records.read(tmp_path / "stack" / "mounts.json", records.ProcessRecord, "")
    mounts.undo()
    assert record is not None
    assert not record.is_running()
