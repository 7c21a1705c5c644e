"""What only the SQLite adapter promises: one process, a private file, plain words for faults."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from picloud_driver.state import Put
from picloud_driver.state.sqlite import SqliteState, Synchronous
from picloud_model.errors import Unavailable

from tests.contract.full_disk import file_size_limit
from tests.contract.state_adapters import (
    StateSite,
    another_process,
    commit_forever,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state file may be made."""
    return tmp_path / "data" / "state.sqlite"


async def test_only_its_user_can_read_it(path: Path) -> None:
    """File, journal and the directory made for them are private, also when they were not before."""
    await SqliteState(path).close()
    await asyncio.to_thread(path.chmod, 0o644)
    state = SqliteState(path)
    await state.commit([Put("key", b"value")])

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await state.close()

    assert modes == {"state.sqlite": 0o600, "state.sqlite-wal": 0o600}


async def test_a_second_handle_is_refused(path: Path) -> None:
    """Also in the same process, and however often it tries the first goes on undisturbed."""
    first = SqliteState(path)
    await first.commit([Put("key", b"value")])

    for _ in range(2):
        with pytest.raises(Unavailable, match=r"state\.sqlite is in use by another process; stop"):
            SqliteState(path)

    await first.commit([Put("key", b"again")])
    await first.close()
    await SqliteState(path).close()


async def test_a_second_process_is_refused_until_the_first_is_gone(sqlite_site: StateSite) -> None:
    """A file in use is refused; once its process was killed it opens at once, with all in it."""
    with another_process(commit_forever, sqlite_site) as (process, tell):
        tell.recv()
        with pytest.raises(Unavailable, match="in use by another process"):
            sqlite_site.open()
        process.kill()
        process.join()

        state = sqlite_site.open()

    assert await state.scan("kept/")
    await state.close()


@pytest.mark.parametrize("synchronous", Synchronous)
async def test_synchronous_is_set_as_requested(path: Path, synchronous: str) -> None:
    """`FULL` makes every commit wait for the disk; a name that is neither is refused."""
    state = SqliteState(path, synchronous=synchronous)

    (level,) = state._database.execute("PRAGMA synchronous").fetchone()
    await state.close()

    assert level == {"NORMAL": 1, "FULL": 2}[synchronous]
    with pytest.raises(ValueError, match="OFTEN"):
        SqliteState(path, synchronous="OFTEN")


async def test_a_full_disk_loses_nothing(path: Path) -> None:
    """A commit that finds no room is refused with a reason, and done once there is room again."""
    state = SqliteState(path)
    version = (await state.commit([Put("key", b"old")]))["key"]

    with file_size_limit(200_000), pytest.raises(Unavailable, match=r"state\.sqlite .* disk"):
        await state.commit([Put("key", b"new"), Put("large", os.urandom(500_000))])

    found = await state.get(["key", "large"])
    assert [entry.version for entry in found.values()] == [version]
    await state.commit([Put("key", b"new", version), Put("large", os.urandom(500_000))])
    await state.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * 5000, "is not a state file; move it away"),
        (b"SQLite format 3\0" + b"\xff" * 8000, r"is not a state file|is damaged"),
    ],
)
def test_a_file_of_something_else_is_refused(path: Path, content: bytes, message: str) -> None:
    """It is named, and left as it was."""
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(Unavailable, match=rf"state\.sqlite.*({message})"):
        SqliteState(path)

    assert path.read_bytes() == content


@pytest.mark.parametrize("statement", ["CREATE TABLE songs (name)", "PRAGMA user_version = 99"])
async def test_a_database_of_something_else_is_refused(path: Path, statement: str) -> None:
    """One of another program, and one of a version to come with another layout."""
    if "99" in statement:
        await SqliteState(path).close()
    path.parent.mkdir(exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(statement)
    database.close()

    with pytest.raises(Unavailable, match="was not written by this version"):
        SqliteState(path)


def test_a_place_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    """Where a file stands in place of the directory the message says which."""
    (tmp_path / "data").touch()

    with pytest.raises(Unavailable, match=r"data"):
        SqliteState(tmp_path / "data" / "state.sqlite")


def test_the_port_loads_no_adapter() -> None:
    """Importing the port imports no database and no client."""
    heavy = "{'sqlite3', 'consul', 'urllib3', 'requests'}"
    program = f"import sys, picloud_driver.state; print(sorted({heavy} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert printed.stdout.strip() == b"[]"
