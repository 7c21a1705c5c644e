"""Queues on NATS: one process owns a queue, others use it through that one, and it can be lost."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest
from picloud_driver.nats.access import NatsAccess
from picloud_driver.nats.gateway import NatsGateway
from picloud_driver.queue import DeliveryId, QueueCounts
from picloud_driver.queue.nats import NatsQueues
from picloud_driver.queue.nats_stream import stream_config
from picloud_model.errors import ServerFault, Unavailable

from tests.contract.queue_adapters import new_name, push
from tests.polling import eventually
from tests.servers import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_driver.queue import Delivery, QueuePort

LONG_S = 600.0


class FaultyQueues(NatsQueues):
    """A process that owns queues and cannot do anything with them."""

    async def _do(self, *_: object) -> None:
        raise ZeroDivisionError


@pytest.fixture
async def pair(nats_server: running.Nats) -> AsyncIterator[tuple[QueuePort, QueuePort]]:
    """The ports of two processes on the same server."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    one, two = NatsQueues(access), NatsQueues(access)
    yield one, two
    await two.close()
    await one.close()


async def take(
    queues: QueuePort, queue: str, most: int = 1000, timeout_s: float = 20.0
) -> list[Delivery]:
    """Take messages for a long time; wait for the first."""
    return await queues.take(queue, most, deadline_s=LONG_S, timeout_s=timeout_s)


async def test_any_process_does_everything_with_a_queue(pair: tuple[QueuePort, QueuePort]) -> None:
    """What one takes, the other one can remove or postpone; both count the same."""
    one, two = pair
    queue = new_name()
    await one.create(queue)
    await push(two, queue, b"1", b"2", b"3")
    (first,) = await take(one, queue, 1)
    rest = await take(two, queue)
    while len(rest) < 2:
        rest += await take(two, queue)

    assert await two.remove(queue, [first.id]) == [True]
    assert await one.postpone(queue, [rest[0].id], 0.0) == [True]
    assert await one.remove(queue, [rest[1].id]) == [True]
    (again,) = await take(two, queue)

    assert again.id.number == rest[0].id.number
    assert await one.counts(queue) == await two.counts(queue) == QueueCounts(in_flight=1)
    await two.purge(queue)
    assert await one.counts(queue) == QueueCounts()
    await one.delete(queue)


async def test_a_take_waits_in_another_process(pair: tuple[QueuePort, QueuePort]) -> None:
    """The owner of the queue wakes it."""
    one, two = pair
    queue = new_name()
    await one.create(queue)
    assert await one.counts(queue) == QueueCounts()
    waiting = asyncio.create_task(take(two, queue))
    await push(two, queue, b"late")

    assert [each.body for each in await waiting] == [b"late"]
    await one.delete(queue)


async def test_an_owner_that_closes_keeps_no_other_process_waiting(
    nats_server: running.Nats,
) -> None:
    """A take that waits at the owner goes on at another process, at once."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    one, two = NatsQueues(access), NatsQueues(access)
    queue = new_name()
    await one.create(queue)
    assert await one.counts(queue) == QueueCounts()
    waiting = asyncio.create_task(take(two, queue))

    async def is_at_owner() -> bool:
        return bool(one._serving)

    await eventually(is_at_owner, "the take waits at the owner")
    await one.close()
    await push(two, queue, b"late")

    # Without an answer of the owner, the other process would ask again after 35 seconds only.
    assert [each.body for each in await asyncio.wait_for(waiting, 10.0)] == [b"late"]
    await two.delete(queue)
    await two.close()


async def test_a_fault_of_the_owner_is_an_answer(nats_server: running.Nats) -> None:
    """Whatever it is: the other process does not wait for one that never comes."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    one, two = FaultyQueues(access), NatsQueues(access)
    queue = new_name()
    await one.create(queue)
    with pytest.raises(ZeroDivisionError):
        await one.counts(queue)

    with pytest.raises(ServerFault, match="The process that owns the queue met a fault"):
        await asyncio.wait_for(two.counts(queue), 12.0)
    await one.close()
    assert await two.counts(queue) == QueueCounts()
    await two.delete(queue)
    await two.close()


async def test_a_queue_whose_owner_is_gone_is_taken_over(nats_server: running.Nats) -> None:
    """Messages in flight are delivered again, and those of the earlier owner remove nothing."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    one, two = NatsQueues(access), NatsQueues(access)
    queue = new_name()
    await one.create(queue)
    await push(one, queue, b"gone", b"kept")
    held = await take(one, queue)
    while len(held) < 2:
        held += await take(one, queue)
    gone, kept = sorted(held, key=lambda each: each.body)
    await one.remove(queue, [gone.id])
    await one._gateway.close()  # without a word to the others, as a kill would
    (again,) = await take(two, queue)

    assert again.body == b"kept"
    # The first is gone, whoever owns the queue; the second is held by another caller by now.
    assert await two.remove(queue, [gone.id, kept.id]) == [True, False]
    assert await two.remove(queue, [again.id]) == [True]
    await two.delete(queue)
    await two.close()
    await one.close()


async def test_processes_that_start_at_once_agree_on_an_owner(nats_server: running.Nats) -> None:
    """No message is taken twice, and none is lost."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    ports = [NatsQueues(access) for _ in range(4)]
    queue = new_name()
    await ports[0].create(queue)
    await push(ports[0], queue, *(b"%d" % number for number in range(400)))

    taken: list[DeliveryId] = []
    bodies: set[bytes] = set()
    while len(bodies) < 400:
        for each in await asyncio.gather(*(take(port, queue, 50, 0.5) for port in ports)):
            taken += [delivery.id for delivery in each]
            bodies |= {delivery.body for delivery in each}
            if each:
                await ports[1].remove(queue, [delivery.id for delivery in each])

    assert (await ports[2].counts(queue)).in_flight == 0
    assert len({each.owner for each in taken[-100:]}) == 1
    await ports[3].delete(queue)
    for port in ports:
        await port.close()


async def test_a_request_is_handled_by_one_process_only(nats_server: running.Nats) -> None:
    """While another process wants to own the queue and listens, no message is taken in vain."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    owner, late, asking = ports = [NatsQueues(access) for _ in range(3)]
    queue = new_name()
    await owner.create(queue)
    await push(owner, queue, *(b"%d" % number for number in range(40)))
    taken = await take(owner, queue, 1)
    subject = f"picloud.owner.{queue}"
    await late._gateway.subscribe(subject, partial(late._serve, queue), group="owner")

    for _ in range(20):
        taken += await take(asking, queue, 1)

    assert len(taken) == (await owner.counts(queue)).in_flight == 21
    await owner.delete(queue)
    for port in ports:
        await port.close()


async def test_a_killed_server_comes_back_with_all_messages() -> None:
    """Meanwhile the queue is unavailable; what was in flight is delivered again.

    What was removed is not, although the server keeps in memory what it has delivered.
    """
    with running.nats() as server:
        queues = NatsQueues(NatsAccess(server.address, user=server.user, token=server.token))
        queue = new_name()
        await queues.create(queue)
        await push(queues, queue, *(b"%d" % number for number in range(100)))
        await push(queues, queue, b"delayed", delay_s=LONG_S)
        purged = await take(queues, queue, 20)
        assert await queues.remove(queue, [each.id for each in purged]) == [True] * 20
        held, *acknowledged = await take(queues, queue, 6)
        assert await queues.remove(queue, [each.id for each in acknowledged]) == [True] * 5
        server.process.kill()

        async def is_disconnected() -> bool:
            client = queues._gateway._client
            return client is not None and not client.is_connected

        await eventually(is_disconnected, "the connection is lost")
        with pytest.raises(Unavailable, match="NATS"):
            await push(queues, queue, b"refused")
        server.process.start()

        async def works() -> bool:
            try:
                await queues.ping()
            except Unavailable:
                return False
            return True

        await eventually(works, "NATS is back", timeout_s=30.0)
        assert await queues.remove(queue, [held.id]) == [False]
        found: set[bytes] = set()
        while len(found) < 75:
            found |= {each.body for each in await take(queues, queue)}

        removed = {each.body for each in (*purged, *acknowledged)}
        assert found == {b"%d" % number for number in range(100)} - removed
        assert await queues.counts(queue) == QueueCounts(delayed=1, in_flight=75)
        await queues.close()


async def counted(queues: QueuePort, queue: str) -> int:
    """Return how many messages are ready."""
    return (await queues.counts(queue)).ready


async def test_a_push_that_a_full_server_cuts_is_repeated_whole() -> None:
    """The server keeps the beginning of the batch; no message is lost when it is pushed again."""
    bodies = [b"%d" % number * 300 for number in range(100, 500)]
    with running.nats(store_bytes=1_000_000) as server:
        queues, full = (
            NatsQueues(NatsAccess(server.address, user=server.user, token=server.token)),
            new_name(),
        )
        await queues.create(full)
        for ids in ((), [f"id{number}" for number in range(400)]):
            queue = new_name()
            await queues.create(queue)
            await push(queues, full, *[b"x" * 1000] * 800)
            with pytest.raises((TimeoutError, Unavailable)):
                # The server does not answer.
                await asyncio.wait_for(queues.push(queue, "cut", bodies, ids=ids), 1.0)
            count = await eventually(partial(counted, queues, queue), "some are stored")
            assert count < 400
            with pytest.raises(Unavailable, match="too little disk"):
                await queues.push(queue, "cut", bodies, ids=ids)

            await queues.purge(full)
            await queues.push(queue, "cut", bodies, ids=ids)
            found = [each.body for each in await take(queues, queue)]
            while len(found) < 400:
                found += [each.body for each in await take(queues, queue)]
            assert {*found} == {*bodies}
            assert not ids or len(found) <= 401
            await queues.delete(queue)
        await queues.close()


async def test_a_queue_of_an_earlier_version_can_be_used(nats_server: running.Nats) -> None:
    """Its stream has other settings, which are changed when it is made again or first needed."""
    access = NatsAccess(nats_server.address, user=nats_server.user, token=nats_server.token)
    for is_made_again in (True, False):
        queues, gateway, name = NatsQueues(access), NatsGateway(access), new_name()
        config = stream_config(name)
        del config["allow_msg_ttl"]
        await gateway.api(f"STREAM.CREATE.{name}", config)
        if is_made_again:
            await queues.create(name)

        assert await queues.push(name, "1", [b"x"], ids=["a"]) == set()
        assert await queues.push(name, "2", [b"x"], ids=["a"]) == {0}
        assert (await queues.counts(name)).ready == 1
        await queues.delete(name)
        await queues.close()
        await gateway.close()


async def test_wrong_credentials_are_named(nats_server: running.Nats) -> None:
    """With what to do about them."""
    queues = NatsQueues(NatsAccess(nats_server.address, token="wrong"))

    with pytest.raises(
        Unavailable, match=r"refuses our credentials: check NATS_USER, NATS_TOKEN or NATS_CREDS"
    ):
        await queues.ping()
    await queues.close()
