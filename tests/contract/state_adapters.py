"""The adapters of the state port, for its contract: a further one adds a site and its fixture."""

import asyncio
import contextlib
import dataclasses
import itertools
import multiprocessing
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

import pytest
from picloud_driver.consul.gateway import ConsulAccess
from picloud_driver.state import Put, StatePort
from picloud_driver.state.consul import ConsulState
from picloud_driver.state.sqlite import SqliteState

from tests.servers import running
from tests.servers.process import free_ports

PAGE_BYTES = 4096
LONGEST_KEY = "k" * 512


class StateSite(Protocol):
    """The place of the state of one test; it can be sent to another process."""

    @property
    def lock_ends_s(self) -> float:
        """Seconds after which a dead holder's lock is surely free, if it was to live for 20 s."""

    @property
    def examples(self) -> int:
        """How many random histories its speed allows to compare with a model."""

    def open(self) -> StatePort:
        """A port as a process makes it that has just begun."""

    def fresh(self) -> "StateSite":
        """Another site of the kind, empty."""

    async def broken(self) -> StatePort:
        """A port whose store cannot answer."""


@dataclasses.dataclass(frozen=True)
class SqliteSite:
    """The adapter `sqlite`."""

    path: Path
    #: The table of locks dies with its process.
    lock_ends_s: float = 1.0
    examples: int = 300

    def open(self) -> StatePort:
        """A port on the file."""
        return SqliteState(self.path)

    def fresh(self) -> "SqliteSite":
        """Another file."""
        return SqliteSite(self.path.with_name(f"{uuid.uuid4().hex}.sqlite"))

    async def broken(self) -> StatePort:
        """A port on a file of which all but the first page was written over."""
        state = SqliteState(self.path)
        await state.commit([Put("key", b"value")])
        state._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with self.path.open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(PAGE_BYTES)
            file.write(b"\xff" * (size - PAGE_BYTES))
        state._database.execute("PRAGMA shrink_memory")
        return state


@dataclasses.dataclass(frozen=True)
class ConsulSite:
    """The adapter `consul`, below a prefix of its own."""

    address: str
    prefix: str = dataclasses.field(default_factory=lambda: f"test-{uuid.uuid4().hex}/")
    lock_ends_s: float = 30.0
    examples: int = 20

    def open(self) -> StatePort:
        """A port with connections of its own."""
        return ConsulState(ConsulAccess(self.address), prefix=self.prefix)

    def fresh(self) -> "ConsulSite":
        """Another prefix."""
        return ConsulSite(self.address)

    async def broken(self) -> StatePort:
        """A port on an address where nothing listens."""
        (port,) = free_ports(1)
        return ConsulState(ConsulAccess(f"127.0.0.1:{port}"), prefix=self.prefix)


@pytest.fixture(scope="session")
def consul_server() -> Iterator[running.Consul]:
    """One Consul for all tests; each has a prefix of its own."""
    with running.consul() as consul:
        yield consul


@pytest.fixture
def sqlite_site(tmp_path: Path) -> StateSite:
    """A file that is not there yet."""
    return SqliteSite(tmp_path / "data" / "state.sqlite")


@pytest.fixture
def consul_site(consul_server: running.Consul) -> StateSite:
    """A prefix without keys."""
    return ConsulSite(consul_server.address)


@pytest.fixture(params=["sqlite", "consul"])
def state_site(request: pytest.FixtureRequest) -> StateSite:
    """An empty store of each kind."""
    site: StateSite = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def state(state_site: StateSite) -> AsyncIterator[StatePort]:
    """A port on an empty store of each kind."""
    opened = state_site.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(state_site: StateSite, state: StatePort) -> AsyncIterator[StatePort]:
    """A second process's port on the same store; the same port where one process is all."""
    if not state.shared:
        yield state
        return
    opened = state_site.open()
    yield opened
    await opened.close()


async def fill(state: StatePort, keys: list[str]) -> dict[str, int]:
    """Put many keys, each with its own name as the value, and answer their versions."""
    versions: dict[str, int] = {}
    for start in range(0, len(keys), state.max_operations):
        part = keys[start : start + state.max_operations]
        versions |= await state.commit([Put(key, key.encode()) for key in part])
    return versions


@contextlib.contextmanager
def another_process(
    work: Callable[[StateSite, Connection], None], site: StateSite
) -> Iterator[tuple[SpawnProcess, Connection]]:
    """Run `work` in a process of its own until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=work, args=(site, theirs))
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def said(connection: Connection) -> list[Any]:
    """Everything that another process sent before it ended."""
    heard = []
    with contextlib.suppress(EOFError):
        while True:
            heard.append(connection.recv())
    return heard


def commit_forever(site: StateSite, tell: Connection) -> None:
    """Commit one number after the other, and send each once it is committed."""

    async def work() -> None:
        state = site.open()
        for number in itertools.count():
            value = str(number).encode()
            await state.commit([Put(f"kept/{number:06d}", value), Put("latest", value)])
            tell.send(number)

    asyncio.run(work())


def hold_a_lock(site: StateSite, tell: Connection) -> None:
    """Take the lock `cleaning`, report whether it was free, and keep it."""

    async def work() -> None:
        state = site.open()
        tell.send(await state.lock("cleaning", 20.0) is not None)
        await asyncio.Event().wait()

    asyncio.run(work())
