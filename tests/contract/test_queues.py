"""The contract of the queue port: each sentence of it, over every adapter."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from picloud_driver.queue import DeliveryId, QueueCounts, QueuePush, TakeLimits
from picloud_model.errors import QueueNotFound, Unavailable

from tests.contract.queue_adapters import new_name, push
from tests.polling import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.queue import Delivery, QueuePort

    from tests.contract.queue_adapters import QueueSite

LONG_S = 600.0


async def take(
    queues: QueuePort, queue: str, most: int = 1000, *, timeout_s: float = 0.0
) -> list[Delivery]:
    """Take messages for a long time."""
    return await queues.take(queue, most, deadline_s=LONG_S, timeout_s=timeout_s)


def bodies(taken: Sequence[Delivery]) -> list[bytes]:
    """Return the messages, in order."""
    return sorted(each.body for each in taken)


def to_push(queue: str, push_id: str, *bodies: bytes, **changed: Any) -> QueuePush:
    """Return what an exchange pushes."""
    return QueuePush(queue=queue, push_id=push_id, bodies=bodies, **changed)


async def test_messages_are_taken_and_removed(queues: QueuePort, queue: str) -> None:
    """A message that was taken is in flight until it is removed, and then gone."""
    before = time.time()
    await push(queues, queue, b"one", b"two", b"three")
    counts = await queues.counts(queue)
    assert (counts.ready, counts.delayed, counts.in_flight) == (3, 0, 0)

    first = await taken(queues, queue, 2)
    counts = await queues.counts(queue)
    assert (counts.ready, counts.delayed, counts.in_flight) == (1, 0, 2)
    assert before - 1 <= first[0].pushed_at <= time.time() + 1
    assert await queues.remove(queue, [each.id for each in first]) == [True, True]
    rest = await taken(queues, queue, 1)

    assert bodies([*first, *rest]) == [b"one", b"three", b"two"]
    assert await queues.counts(queue) == QueueCounts(in_flight=1)


async def test_an_empty_queue_is_waited_for(queues: QueuePort, queue: str) -> None:
    """A take returns when the first message arrives, or with nothing when the time is over."""
    assert await take(queues, queue) == []
    assert await take(queues, queue, timeout_s=0.2) == []

    waiting = asyncio.create_task(take(queues, queue, timeout_s=30.0))
    await asyncio.sleep(0)
    await push(queues, queue, b"late")

    assert bodies(await waiting) == [b"late"]


async def test_a_take_without_a_timeout_returns_what_was_pushed(
    queues: QueuePort, queue: str
) -> None:
    """It does so though an earlier take, which waited for more messages, got just one."""
    await push(queues, queue, b"first")
    assert bodies(await take(queues, queue, timeout_s=20.0)) == [b"first"]
    for number in range(20):
        await push(queues, queue, b"%d" % number)

        assert bodies(await take(queues, queue, timeout_s=0.0)) == [b"%d" % number]

    assert await take(queues, queue, timeout_s=0.0) == []


async def test_all_messages_can_be_read(queues: QueuePort, queue: str) -> None:
    """Those that are ready, delayed or taken, each once; none is taken by that."""
    assert [body async for body in queues.bodies(queue)] == []
    await push(queues, queue, b"taken")
    await take(queues, queue)
    await push(queues, queue, b"", b"ready", b"x" * 1_000_000)
    await push(queues, queue, b"delayed", b"later", delay_s=LONG_S)
    await queues.push(queue, "unused", [b"once"], ids=["a"])

    read = [body async for body in queues.bodies(queue)]

    ready = [b"", b"once", b"ready", b"x" * 1_000_000]
    assert sorted(read) == sorted([b"taken", b"delayed", b"later", *ready])
    assert bodies(await taken(queues, queue, len(ready))) == ready


async def test_several_takes_share_the_messages(queues: QueuePort, queue: str) -> None:
    """No two takes that wait at the same time get the same message, and each message is taken."""
    waiting = [asyncio.create_task(take(queues, queue, 10, timeout_s=30.0)) for _ in range(4)]
    for number in range(4):
        await push(queues, queue, *(b"%d-%d" % (number, index) for index in range(10)))
    all_taken = [each for one in await asyncio.gather(*waiting) for each in one]
    all_taken += await taken(queues, queue, 40 - len(all_taken))

    assert len({each.id.number for each in all_taken}) == len(all_taken) == 40


async def test_a_push_that_is_repeated_adds_nothing(queues: QueuePort, queue: str) -> None:
    """The id decides, also when the messages were taken and removed since."""
    await queues.push(queue, "same", [b"one", b"two"])
    await queues.push(queue, "same", [b"one", b"two"])
    both = await taken(queues, queue, 2)
    await queues.remove(queue, [each.id for each in both])
    await queues.push(queue, "same", [b"one", b"two"])

    assert bodies(both) == [b"one", b"two"]
    assert await queues.counts(queue) == QueueCounts()


@pytest.mark.parametrize("delay_s", [0.0, 600.0])
async def test_a_repeated_push_of_one_message_adds_nothing(
    queues: QueuePort, queue: str, delay_s: float
) -> None:
    """A single message is stored in another way than several are, and is remembered as well."""
    for _ in range(2):
        await queues.push(queue, "same", [b"one"], delay_s)
    counts = await queues.counts(queue)

    assert (counts.ready, counts.delayed) == ((0, 1) if delay_s else (1, 0))


@pytest.mark.parametrize("delay_s", [0.0, 600.0])
async def test_a_message_whose_id_was_pushed_is_left_out(
    queues: QueuePort, queue: str, delay_s: float
) -> None:
    """Whatever comes with it, and also when it is gone; in another queue, ids are others."""

    async def pushed(*ids: str) -> set[int]:
        return await queues.push(
            queue, "unused", [each.encode() for each in ids], delay_s, ids=[*ids]
        )

    first = [f"{number:03}" for number in range(600)]

    assert await pushed(*first) == set()
    assert await pushed("599", "new", "000") == {0, 2}
    assert await pushed("new") == {0}
    counts = await queues.counts(queue)
    assert (counts.ready, counts.delayed) == ((0, 601) if delay_s else (601, 0))
    if not delay_s:
        await queues.remove(queue, [each.id for each in await taken(queues, queue, 601)])
    else:
        await queues.purge(queue)
    assert await pushed("000", "newer") == {0}
    counts = await queues.counts(queue)
    assert counts.ready + counts.delayed == 1


async def test_the_same_id_in_another_queue_is_another_push(queues: QueuePort, queue: str) -> None:
    """Ids belong to their queue."""
    other = new_name()
    await queues.create(other)
    await queues.push(queue, "same", [b"here"])
    await queues.push(other, "same", [b"there"])

    assert bodies(await take(queues, queue)) == [b"here"]
    assert bodies(await take(queues, other)) == [b"there"]
    await queues.delete(other)


async def test_delayed_messages_come_later(queues: QueuePort, queue: str) -> None:
    """They are counted apart, not taken before their time, and then taken by who waits."""
    await push(queues, queue, b"later", b"later too", delay_s=3.0)
    assert await queues.counts(queue) == QueueCounts(delayed=2)
    assert await take(queues, queue) == []

    taken: list[Delivery] = []
    while len(taken) < 2:
        taken += await take(queues, queue, timeout_s=30.0)

    assert bodies(taken) == [b"later", b"later too"]


async def test_a_message_comes_back_after_its_deadline(queues: QueuePort, queue: str) -> None:
    """The late holder can no longer remove it once another consumer has it."""
    await push(queues, queue, b"slow")
    (late,) = await queues.take(queue, 1, deadline_s=0.5, timeout_s=30.0)

    (now,) = await take(queues, queue, timeout_s=30.0)

    assert (now.body, now.id.number) == (b"slow", late.id.number)
    assert await queues.remove(queue, [late.id]) == [False]
    assert await queues.postpone(queue, [late.id], LONG_S) == [False]
    assert await queues.counts(queue) == QueueCounts(in_flight=1)
    assert await queues.remove(queue, [now.id]) == [True]
    assert await queues.counts(queue) == QueueCounts()


async def test_a_take_keeps_to_a_pace(queues: QueuePort, queue: str) -> None:
    """All takes with a limit share it; after a pause a tenth of a second's messages come."""
    await push(queues, queue, *(str(number).encode() for number in range(40)))
    limits = TakeLimits(per_second=40.0)

    async def take_ten() -> int:
        count = 0
        while count < 10:
            count += len(
                await queues.take(queue, 10, deadline_s=60.0, timeout_s=20.0, limits=limits)
            )
        return count

    began = time.monotonic()
    counts = await asyncio.gather(take_ten(), take_ten())
    took = time.monotonic() - began

    # A burst of four, then one after the other.
    assert took >= (sum(counts) - 4) / 40.0 - 0.01
    assert len(await taken(queues, queue, 40 - sum(counts))) == 40 - sum(counts)


async def test_a_take_waits_while_enough_is_in_flight(queues: QueuePort, queue: str) -> None:
    """A message that is removed lets the next one be taken."""
    await push(queues, queue, b"1", b"2", b"3")
    limits = TakeLimits(in_flight=2)

    held: list[Delivery] = []
    while len(held) < 2:
        held += await queues.take(queue, 10, deadline_s=LONG_S, timeout_s=20.0, limits=limits)
    assert len(held) == 2
    assert not await queues.take(queue, 10, deadline_s=60.0, timeout_s=0.0, limits=limits)
    waiting = asyncio.create_task(
        queues.take(queue, 10, deadline_s=60.0, timeout_s=20.0, limits=limits)
    )
    await asyncio.sleep(0)
    await queues.remove(queue, [held[0].id])

    assert len(await waiting) == 1


async def test_a_deadline_can_be_moved(queues: QueuePort, queue: str) -> None:
    """Later, and the message stays with its holder; to now, and it is given back."""
    await push(queues, queue, b"kept")
    (kept,) = await queues.take(queue, 1, deadline_s=3.0, timeout_s=30.0)
    assert await queues.postpone(queue, [kept.id], LONG_S) == [True]
    assert await take(queues, queue, timeout_s=3.5) == []

    assert await queues.postpone(queue, [kept.id], 0.0) == [True]

    assert bodies(await take(queues, queue, timeout_s=30.0)) == [b"kept"]


async def test_removing_twice_is_no_error(queues: QueuePort, queue: str) -> None:
    """The message is gone, which is what was requested."""
    await push(queues, queue, b"once", b"other")
    ids = [each.id for each in await taken(queues, queue, 2)]

    assert await queues.remove(queue, ids) == [True, True]
    assert await queues.remove(queue, ids) == [True, True]
    assert await queues.postpone(queue, ids, LONG_S) == [False, False]


async def test_messages_are_exchanged_for_others(queues: QueuePort, queue: str) -> None:
    """What is pushed goes to any queues, once; with an id, also of the messages of another push."""
    other = new_name()
    await queues.create(other)
    await push(queues, queue, b"one", b"two")
    first, second = await taken(queues, queue, 2)

    def pushes(*ids: str) -> list[QueuePush]:
        return [
            to_push(queue, f"again{len(ids)}", b"again", delay_s=LONG_S),
            to_push(other, f"made{len(ids)}", *[b"made"] * len(ids), ids=ids),
        ]

    done = await queues.exchange(queue, [first.id], pushes("a", "b"), hold_s=LONG_S)
    assert (done.expired, done.repeated) == ([], [set(), set()])
    done = await queues.exchange(queue, [second.id], pushes("b", "c", "d"), hold_s=LONG_S)
    assert (done.expired, done.repeated) == ([], [set(), {0}])

    assert await queues.counts(queue) == QueueCounts(delayed=2)
    assert bodies(await taken(queues, other, 4)) == [b"made"] * 4
    await queues.delete(other)


async def test_what_another_caller_has_is_not_exchanged(queues: QueuePort, queue: str) -> None:
    """Nor what is gone: nothing is pushed, and the other messages of the request stay."""
    await push(queues, queue, b"lost", b"held", b"gone")
    deliveries = await taken(queues, queue, 3)
    lost, held, gone = (
        next(each for each in deliveries if each.body == body)
        for body in (b"lost", b"held", b"gone")
    )
    await queues.postpone(queue, [lost.id], 0.0)
    (again,) = await taken(queues, queue, 1)
    await queues.remove(queue, [gone.id])
    made = [to_push(queue, "made", b"made")]

    ids = [held.id, lost.id, gone.id]
    done = await queues.exchange(queue, ids, made, hold_s=LONG_S)
    assert (done.expired, done.repeated) == ([1, 2], [])
    assert await queues.counts(queue) == QueueCounts(in_flight=2)
    missing = [*made, to_push(new_name(), "made", b"made")]
    with pytest.raises(QueueNotFound):
        await queues.exchange(queue, [held.id], missing, hold_s=LONG_S)
    assert (await queues.counts(queue)).in_flight == 2

    done = await queues.exchange(queue, [held.id, again.id], made, hold_s=LONG_S)
    assert (done.expired, done.repeated) == ([], [set()])
    counts = await queues.counts(queue)
    assert (counts.ready, counts.in_flight) == (1, 0)


async def test_a_delivery_of_another_attempt_removes_nothing(queues: QueuePort, queue: str) -> None:
    """The number of the message alone is not enough."""
    await push(queues, queue, b"mine")
    (mine,) = await take(queues, queue, timeout_s=30.0)
    foreign = DeliveryId(mine.id.number, mine.id.attempt + 1, mine.id.owner)

    assert await queues.remove(queue, [foreign]) == [False]
    assert await queues.remove(queue, [mine.id]) == [True]


async def test_the_oldest_message_is_known(queues: QueuePort, queue: str) -> None:
    """When it was pushed; one that is in flight does not count, nor one that is delayed."""
    before = time.time()
    await push(queues, queue, b"1")
    await push(queues, queue, b"2", delay_s=600.0)
    between = time.time()
    oldest_at = (await queues.counts(queue)).oldest_at
    assert before - 1.0 < oldest_at < between + 1.0
    (first,) = await taken(queues, queue, 1)
    assert (await queues.counts(queue)).oldest_at == 0.0
    await queues.postpone(queue, [first.id], 0.0)

    async def is_first() -> bool:
        return (await queues.counts(queue)).oldest_at == oldest_at

    await eventually(is_first, "the first message can be taken again")
    await push(queues, queue, b"3")
    assert await is_first()


async def test_purge_removes_everything(queues: QueuePort, queue: str) -> None:
    """Ready, delayed and taken messages are gone; later pushes are not affected."""
    await push(queues, queue, *(b"%d" % number for number in range(20)))
    five = await taken(queues, queue, 5)
    await push(queues, queue, b"delayed", delay_s=LONG_S)

    await queues.purge(queue)

    assert await queues.counts(queue) == QueueCounts()
    assert await queues.remove(queue, [each.id for each in five]) == [True] * 5
    assert await take(queues, queue) == []
    await push(queues, queue, b"new")
    assert bodies(await take(queues, queue, timeout_s=30.0)) == [b"new"]


async def test_a_deleted_queue_does_not_exist(queues: QueuePort) -> None:
    """Nor one that never existed; both are created and deleted more than once without error."""
    queue = new_name()
    with pytest.raises(QueueNotFound):
        await push(queues, queue, b"lost")
    for _ in range(2):
        await queues.create(queue)
    await push(queues, queue, b"one")
    (taken,) = await take(queues, queue, timeout_s=30.0)
    for _ in range(2):
        await queues.delete(queue)

    for failing in (
        push(queues, queue, b"lost"),
        take(queues, queue),
        queues.remove(queue, [taken.id]),
        queues.postpone(queue, [taken.id], 1.0),
        queues.exchange(queue, [taken.id], [to_push(queue, "a", b"lost")], hold_s=LONG_S),
        queues.counts(queue),
        queues.purge(queue),
        anext(queues.bodies(queue)),
    ):
        with pytest.raises(QueueNotFound):
            await failing


async def test_what_is_large_is_taken_in_parts(queues: QueuePort, queue: str) -> None:
    """A take stops at its limit of bytes, and the rest is taken next."""
    large = [bytes([number]) * 900_000 for number in range(8)]
    await push(queues, queue, *large)

    first = await take(queues, queue, timeout_s=30.0)
    taken = list(first)
    while len(taken) < len(large):
        more = await take(queues, queue, timeout_s=30.0)
        assert more
        taken += more

    assert 1 <= len(first) < len(large)
    assert bodies(taken) == large


async def test_messages_outlive_the_process(queue_site: QueueSite) -> None:
    """Another process finds those that were pushed and not removed, delayed ones included."""
    queue, first = new_name(), queue_site.open()
    await first.create(queue)
    await push(first, queue, b"gone", b"kept")
    taken = await take(first, queue, 1)
    await first.remove(queue, [taken[0].id])
    await push(first, queue, b"delayed", delay_s=0.5)
    await first.close()

    second = queue_site.open()
    found: list[Delivery] = []
    while len(found) < 2:
        found += await take(second, queue, timeout_s=30.0)

    assert bodies([*taken, *found]) == [b"delayed", b"gone", b"kept"]
    await second.delete(queue)
    await second.close()


async def test_a_store_that_cannot_answer_is_unavailable(queue_site: QueueSite) -> None:
    """Each method says so in one sentence."""
    port = queue_site.broken()
    for failing in (
        port.create("a"),
        port.push("a", "b", [b""]),
        take(port, "a"),
        port.counts("a"),
        anext(port.bodies("a")),
        port.ping(),
    ):
        with pytest.raises(Unavailable, match=r"file|NATS"):
            await failing
    await port.close()


async def test_a_large_push_is_whole(queues: QueuePort, queue: str) -> None:
    """As many messages as one push may have arrive, and the queue is healthy."""
    await push(queues, queue, *(b"%d" % number for number in range(queues.max_messages)))
    await queues.ping()

    async def counted() -> bool:
        return (await queues.counts(queue)).ready == queues.max_messages

    await eventually(counted, "all messages are ready")
    assert len(await taken(queues, queue, queues.max_messages)) == queues.max_messages


async def test_many_messages_are_removed_in_any_order(queues: QueuePort, queue: str) -> None:
    """Those of one caller at a time: what others hold, what was given back and what is delayed
    stays.
    """
    await push(queues, queue, *(str(number).encode() for number in range(90)))
    await push(queues, queue, b"delayed", delay_s=600)
    portions = [await taken(queues, queue, 30) for _ in range(3)]
    given_back, kept = portions[0][0], portions[1][0]
    await queues.postpone(queue, [given_back.id], 0)

    for portion in (portions[2], portions[0], portions[1]):
        removed = [each.id for each in portion if each not in (given_back, kept)]
        assert await queues.remove(queue, removed) == [True] * len(removed)

    (again,) = await taken(queues, queue, 1)
    assert again.body == given_back.body
    assert await queues.counts(queue) == QueueCounts(0, 1, 2)
    assert await queues.remove(queue, [kept.id, again.id, given_back.id]) == [True, True, True]
    assert await queues.counts(queue) == QueueCounts(0, 1, 0)


async def taken(queues: QueuePort, queue: str, count: int) -> list[Delivery]:
    """Take exactly so many messages; a take may return fewer than there are."""
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        more = await queues.take(queue, count - len(deliveries), deadline_s=600.0, timeout_s=20.0)
        assert more
        deliveries += more
    return deliveries


async def test_a_queue_may_be_deleted_while_messages_are_removed(queues: QueuePort) -> None:
    """The removal ends at once: the message is gone, or there is no such queue."""
    for _ in range(20):
        queue = new_name()
        await queues.create(queue)
        await push(queues, queue, b"one")
        (taken,) = await take(queues, queue, timeout_s=20.0)
        removing = asyncio.create_task(queues.remove(queue, [taken.id]))
        await asyncio.sleep(0)

        async with asyncio.timeout(12.0):
            await queues.delete(queue)
            with contextlib.suppress(QueueNotFound):
                assert await removing == [True]
