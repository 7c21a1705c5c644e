"""Queues on three NATS servers: any one of them may be lost."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from typing import TYPE_CHECKING

import pytest
from picloud_driver.nats.access import NatsAccess
from picloud_driver.nats.gateway import NatsGateway
from picloud_driver.queue.nats import NatsQueues
from picloud_driver.stack.addresses import VendorServer, environment_of
from picloud_driver.stack.bootstrap import nats as bootstrap
from picloud_driver.stack.bootstrap.keys import KeyFile
from picloud_driver.stack.doctor import servers as doctor
from picloud_model.errors import Unavailable

from tests.polling import eventually
from tests.servers import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.doctor.finding import Finding

    from tests.servers.running import NatsCluster

REPLICAS = 3
QUEUE = "a0000001-work"
MUST_GO_ON_S = 60.0


@dataclasses.dataclass
class Traffic:
    """Messages that pass through a queue all the time, and what has become of them."""

    queues: list[NatsQueues]
    pushed: set[bytes] = dataclasses.field(default_factory=set)
    removed: set[bytes] = dataclasses.field(default_factory=set)
    taken_again: set[bytes] = dataclasses.field(default_factory=set)
    ends: bool = False

    async def push(self) -> None:
        """Push pairs of messages, which one server after the other stores."""
        number = 0
        while not self.ends:
            for port in self.queues:
                number += 1
                pair = [b"%d" % number, b"%d, second" % number]
                await port.push(QUEUE, uuid.uuid4().hex, pair)
                self.pushed.update(pair)
            await asyncio.sleep(0.005)

    async def take(self, at: int) -> None:
        """Take messages by one process, and remove them by the next one."""
        remover = self.queues[(at + 1) % len(self.queues)]
        while not self.ends or self.removed < self.pushed:
            before = {*self.removed}
            taken = await self.queues[at].take(QUEUE, 20, deadline_s=600.0, timeout_s=1.0)
            self.taken_again.update(before.intersection(each.body for each in taken))
            gone = await remover.remove(QUEUE, [each.id for each in taken]) if taken else []
            for each, is_gone in zip(taken, gone, strict=True):
                if is_gone:
                    self.removed.add(each.body)

    def goes_on_after(self, pushed: int, removed: int) -> bool:
        """Whether more messages were pushed, and more removed."""
        return len(self.pushed) > pushed + 100 and len(self.removed) > removed + 100


@pytest.fixture
def cluster() -> Iterator[NatsCluster]:
    """Three servers of this test."""
    with running.nats_cluster() as made:
        yield made


def access(cluster: NatsCluster, replicas: int = REPLICAS) -> NatsAccess:
    """Return how to reach all of them."""
    return NatsAccess(
        ",".join(cluster.addresses), user=cluster.user, token=cluster.token, replicas=replicas
    )


@pytest.mark.timeout(300)
async def test_the_loss_of_any_server_loses_nothing_and_stops_nothing(
    cluster: NatsCluster,
) -> None:
    """Each server is killed while three processes push, take and remove; none sees an error."""
    traffic = Traffic([NatsQueues(access(cluster)) for _ in range(3)])
    await traffic.queues[0].create(QUEUE)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(traffic.push())
        for at in range(3):
            tasks.create_task(traffic.take(at))
        for name, process in cluster.processes.items():
            await eventually(lambda: traffic.goes_on_after(0, 0), "messages pass")
            pushed, removed = len(traffic.pushed), len(traffic.removed)
            process.kill()

            what = f"messages pass without {name}"
            await eventually(
                lambda a=pushed, b=removed: traffic.goes_on_after(a, b), what, MUST_GO_ON_S
            )

            await asyncio.get_running_loop().run_in_executor(None, process.start)
            await eventually(lambda: is_current(cluster), f"{name} is current", MUST_GO_ON_S)
        traffic.ends = True

    assert traffic.removed == traffic.pushed
    assert traffic.taken_again == set()
    for port in traffic.queues:
        await port.close()


async def is_current(cluster: NatsCluster) -> bool:
    """Whether all servers have all messages."""
    gateway = NatsGateway(access(cluster))
    try:
        found = (await gateway.api(f"STREAM.INFO.{QUEUE}"))["cluster"]["replicas"]
    except Unavailable:
        return False
    finally:
        await gateway.close()
    return len(found) == REPLICAS - 1 and all(each["current"] for each in found)


async def test_bootstrap_gives_older_queues_more_copies(
    cluster: NatsCluster, tmp_path: Path
) -> None:
    """It plans that, does it, and has nothing to do then; the doctor agrees, and messages stay."""
    before, after = NatsQueues(access(cluster, 1)), NatsQueues(access(cluster))
    await eventually(lambda: works(after), "the servers are a cluster", MUST_GO_ON_S)
    for number in range(2):
        await before.create(f"a0000001-{number}")
        await after.push(f"a0000001-{number}", "1", [b"kept"])
    server = VendorServer(
        ",".join(cluster.addresses), cluster.token, user=cluster.user, replicas=str(REPLICAS)
    )
    keys = KeyFile(tmp_path)

    examined = nats_line(tmp_path, server)
    (change,) = bootstrap.changes(server, keys, adopt=False)
    change.make()

    assert not examined.ok
    assert "2 queues have fewer copies than the 3 of NATS_REPLICAS: run" in examined.detail
    assert nats_line(tmp_path, server).ok
    assert change.text == "3 copies of queues that have fewer"
    assert bootstrap.changes(server, keys, adopt=False) == []
    for number in range(2):
        (kept,) = await after.take(f"a0000001-{number}", 1, deadline_s=60.0, timeout_s=30.0)
        assert kept.body == b"kept"
    await before.close()
    await after.close()


def nats_line(data: Path, server: VendorServer) -> Finding:
    """Return what `picloud admin doctor` says of NATS."""
    found = doctor.examine(data, environment_of("nats", server))
    return next(each for each in found if each.check == "nats")


async def works(queues: NatsQueues) -> bool:
    """Whether JetStream answers."""
    with contextlib.suppress(Unavailable):
        await queues.ping()
        return True
    return False


def test_too_few_servers_are_named(tmp_path: Path) -> None:
    """One server cannot store three copies."""
    with running.nats() as alone:
        server = VendorServer(alone.address, alone.token, user=alone.user, replicas=str(REPLICAS))
        with pytest.raises(Unavailable, match=r"fewer servers than NATS_REPLICAS wants"):
            bootstrap.changes(server, KeyFile(tmp_path), adopt=False)
