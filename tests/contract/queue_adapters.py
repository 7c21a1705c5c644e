"""The adapters of the queue port, for its contract: a further one adds a site and its fixture."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from typing import TYPE_CHECKING, Protocol

import pytest
from picloud_driver.nats.access import NatsAccess
from picloud_driver.queue.nats import NatsQueues
from picloud_driver.queue.sqlite import SqliteQueues

from tests.servers import running
from tests.servers.process import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from picloud_driver.queue import QueuePort


class QueueSite(Protocol):
    """The place of the queues of one test."""

    def open(self) -> QueuePort:
        """A port as a process makes it that has just begun."""

    def broken(self) -> QueuePort:
        """A port whose store cannot answer."""


@dataclasses.dataclass(frozen=True)
class SqliteQueueSite:
    """The adapter `sqlite`."""

    path: Path

    def open(self) -> QueuePort:
        """A port on the file."""
        return SqliteQueues(self.path)

    def broken(self) -> QueuePort:
        """A port whose tables are gone."""
        port = SqliteQueues(self.path)
        for table in ("queues", "messages"):
            port._thread._database.execute(f"DROP TABLE {table}")
        return port


@dataclasses.dataclass(frozen=True)
class NatsSite:
    """The adapter `nats`, on a server that tests share."""

    access: NatsAccess

    def open(self) -> QueuePort:
        """A port with a connection of its own."""
        return NatsQueues(self.access)

    def broken(self) -> QueuePort:
        """A port on an address where nothing listens."""
        (port,) = free_ports(1)
        return NatsQueues(NatsAccess(f"nats://127.0.0.1:{port}"))


@pytest.fixture(scope="session")
def nats_server() -> Iterator[running.Nats]:
    """One NATS for all tests; each has queues of its own."""
    with running.nats() as server:
        yield server


@pytest.fixture(scope="session")
def nats_cluster() -> Iterator[NatsAccess]:
    """Three NATS servers for all tests, each of which stores each message."""
    with running.nats_cluster() as cluster:
        access = NatsAccess(
            ",".join(cluster.addresses), user=cluster.user, token=cluster.token, replicas=3
        )
        asyncio.run(_until_elected(access))
        yield access


async def _until_elected(access: NatsAccess) -> None:
    queues = NatsQueues(access)
    try:
        await queues.ping()
    finally:
        await queues.close()


@pytest.fixture
def sqlite_queue_site(tmp_path: Path) -> QueueSite:
    """A file that is not there yet."""
    return SqliteQueueSite(tmp_path / "queues.sqlite")


@pytest.fixture
def nats_queue_site(nats_server: running.Nats) -> QueueSite:
    """A server with queues of other tests."""
    return NatsSite(NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token))


@pytest.fixture
def cluster_queue_site(nats_cluster: NatsAccess) -> QueueSite:
    """A cluster with queues of other tests."""
    return NatsSite(nats_cluster)


@pytest.fixture
def queue_site(request: pytest.FixtureRequest) -> QueueSite:
    """A store of each kind."""
    site: QueueSite = request.getfixturevalue(f"{request.param}_queue_site")
    return site


@pytest.fixture
async def queues(queue_site: QueueSite) -> AsyncIterator[QueuePort]:
    """A port on a store of each kind."""
    opened = queue_site.open()
    yield opened
    await opened.close()


@pytest.fixture
async def queue(queues: QueuePort) -> AsyncIterator[str]:
    """An empty queue of each kind."""
    name = new_name()
    await queues.create(name)
    yield name
    await queues.delete(name)


def new_name() -> str:
    """A name that no queue ever had."""
    return f"a0000001-{uuid.uuid4().hex}"


async def push(queues: QueuePort, queue: str, *bodies: bytes, delay_s: float = 0.0) -> None:
    """Push messages with an id of their own."""
    await queues.push(queue, uuid.uuid4().hex, bodies, delay_s)
