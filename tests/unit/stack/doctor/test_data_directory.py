"""The data directory of a stack, examined."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest
from picloud_driver.stack.doctor import data_directory

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a database and a key, private as `picloud up` makes them."""
    made = tmp_path / "data"
    (made / "secrets").mkdir(0o700, parents=True)
    made.chmod(0o700)
    with sqlite3.connect(made / "state.sqlite") as database:
        database.execute("CREATE TABLE entries (key, value)")
        database.executemany("INSERT INTO entries VALUES (?, ?)", [("k", b"v" * 900)] * 100)
    database.close()
    (made / "secrets" / "master.key").write_bytes(b"key")
    (made / "secrets" / "master.key").chmod(0o600)
    return made


def problems(data: Path, *, running: bool = False) -> dict[str, str]:
    """Return what has to be done, by check."""
    found = data_directory.examine(data, running=running)
    return {finding.check: finding.detail for finding in found if not finding.ok}


def test_a_directory_in_order_has_no_problems(data: Path) -> None:
    """Each check has a line that says what works."""
    found = list(data_directory.examine(data, running=False))

    assert [(finding.check, finding.ok) for finding in found] == [
        ("data", True),
        ("keys", True),
        ("disk", True),
        ("state", True),
    ]


def test_others_may_not_change_the_directory(data: Path) -> None:
    """The line names the command that mends it; nothing else is examined."""
    data.chmod(0o777)

    assert problems(data) == {"data": f"other users may change {data}: run chmod 700 {data}"}


def test_a_directory_of_another_user_is_named(data: Path) -> None:
    """Its owner has to run `picloud`."""
    os.chown(data, 65534, 65534)

    assert "belongs to another user" in problems(data)["data"]


def test_keys_that_others_may_read_are_named(data: Path) -> None:
    """By their path; the other checks follow."""
    key = data / "secrets" / "master.key"
    key.chmod(0o644)

    assert problems(data) == {"keys": f"other users may read {key}: run chmod 600 {key}"}


def test_a_damaged_database_is_found(data: Path) -> None:
    """Also if only a page in the middle of the file is damaged."""
    file = data / "state.sqlite"
    with file.open("r+b") as opened:
        opened.seek(2 * 4096)
        opened.write(b"\xff" * 4096)

    assert "damaged" in problems(data)["state"]


def test_the_database_of_a_running_server_is_not_read(data: Path) -> None:
    """The server has locked it, and reports its own health."""
    (data / "state.sqlite").write_bytes(b"of the server")

    assert problems(data, running=True) == {}
