"""The record of the server on a data directory."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from picloud.stack import server_record
from picloud.stack.data_dir import StackName
from picloud.stack.profile import PreviousProfile
from picloud.stack.server_record import ServerRecord
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from pathlib import Path


def _written(data: Path) -> ServerRecord:
    return server_record.write(
        data,
        ServerRecord(
            stack=StackName.EMBEDDED, pid=os.getpid(), url="http://x", key="pk_1_hidden", slots=2
        ),
    )


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And its process is this one."""
    record = _written(tmp_path)

    assert server_record.read(tmp_path) == record
    assert record.process.is_running()
    assert "hidden" not in repr(record)


def test_a_record_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It knows neither slots nor what the profile named before."""
    old = {"stack": "embedded", "pid": 1, "birth": "2", "url": "http://x", "key": "k"}
    (tmp_path / "up.json").write_text(json.dumps(old))

    record = server_record.read(tmp_path)

    assert record is not None
    assert (record.slots, record.before) == (0, PreviousProfile())


def test_a_removed_record_is_none(tmp_path: Path) -> None:
    """Removing it twice is not an error."""
    _written(tmp_path)

    server_record.remove(tmp_path)
    server_record.remove(tmp_path)

    assert server_record.read(tmp_path) is None


def test_the_port_is_known_after_the_record_was_removed(tmp_path: Path) -> None:
    """The next server takes it again; a directory without a server so far has none."""
    assert server_record.last_port(tmp_path) is None
    record = ServerRecord(
        stack=StackName.EMBEDDED, pid=os.getpid(), url="http://127.0.0.1:4711", key="pk_1_hidden"
    )
    server_record.write(tmp_path, record)

    server_record.remove(tmp_path)

    assert server_record.last_port(tmp_path) == 4711


def test_a_malformed_record_is_an_error_with_advice(tmp_path: Path) -> None:
    """The server that it described may still run."""
    (tmp_path / "up.json").write_text("{")

    with pytest.raises(StackFault, match="remove the file"):
        server_record.read(tmp_path)
