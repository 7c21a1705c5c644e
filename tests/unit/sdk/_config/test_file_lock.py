"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cloud import CloudTimeoutError
from cloud._config.file_lock import file_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from cloud._config.file_lock import file_lock
with file_lock(sys.argv[1], None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    """Another one gets it when the first has ended, or an error after its timeout."""
    path = str(tmp_path / "file")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CloudTimeoutError, match="Another process"), file_lock(path, 0):
            pass
        holder.kill()

    with file_lock(path, 10):
        pass

    assert list(tmp_path.iterdir()) == []
