"""Stopping what a data directory records."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from picloud.stack import down, server_record
from picloud.stack.data_dir import StackName
from picloud.stack.server_record import ServerRecord

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_recorded_server_is_terminated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its record is removed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        record = ServerRecord(stack=StackName.EMBEDDED, pid=process.pid, url="http://x", key="k")
        server_record.write(tmp_path, record)

        assert down.run(tmp_path)
        assert process.wait(10) != 0

    assert capsys.readouterr().out == "PiCloud at http://x stopped.\n"
    assert server_record.read(tmp_path) is None


def test_without_a_record_nothing_was_running(tmp_path: Path) -> None:
    """Nor without the directory."""
    assert not down.run(tmp_path)
    assert not down.run(tmp_path / "none")
