"""Two API processes over one state store: how many requests each causes the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.store.records import Event, EventKind
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.process_pair import Pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


CALLS = 20


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two processes, each of which has submitted a batch and has common records in its cache."""
    made = Pair(tmp_path)
    await made.start()
    yield made
    await made.stop()


def event(kind: EventKind, batch: str) -> Event:
    """Return an event of the account."""
    return Event(kind, ACCOUNT, batch)


async def test_a_notified_process_submits_without_conflict(pair: Pair) -> None:
    """A process that was notified of the other's batch knows the next jid: when the two submit in
    turn, each submit is one transaction.
    """
    await pair.two.receive(event(EventKind.READY, "none"))
    await pair.one.receive(event(EventKind.READY, "none"))
    pair.take_requests()
    jids = []
    for number in range(CALLS):
        one, other = (pair.one, pair.two) if number % 2 else (pair.two, pair.one)
        request = one.request(1)
        jids += list(await one.send(request))
        await other.receive(event(EventKind.READY, request.submit_id))

    requests = pair.take_requests()
    assert jids == list(range(3, 3 + CALLS))
    assert (requests["transaction"], requests["conflict"]) == (CALLS, 0)


async def test_a_conflict_costs_one_read_and_one_transaction(pair: Pair) -> None:
    """Without a notification, the submit conflicts once, reads what changed, and is repeated."""
    await pair.two.submit(1)
    pair.take_requests()
    assert await pair.one.submit(1) == range(4, 5)

    requests = pair.take_requests()
    assert (requests["transaction"], requests["conflict"], requests["read"]) == (2, 1, 1)


async def test_jids_rise_across_processes(pair: Pair) -> None:
    """Without any notification, batches that are submitted one after the other get rising jids,
    and batches of both processes at the same time get different ones.
    """
    latest, jids = 0, []
    for number in range(CALLS):
        first = pair.two if number % 3 else pair.one
        other = pair.one if number % 3 else pair.two
        mine, theirs = await asyncio.gather(first.submit(3), other.submit(1))
        assert mine[0] > latest
        latest = mine[-1]
        jids += [*mine, *theirs]

    assert len(jids) == len(set(jids))


async def test_finished_batches_of_the_other_cost_one_read(pair: Pair) -> None:
    """A process that is notified of batches that have ended already reads all of them at once."""
    slot = await pair.one.slot()
    requests = [pair.one.request(1) for _ in range(CALLS)]
    for request in requests:
        await pair.one.send(request)
    while leases := (await pair.one.work(slot)).leases:
        await pair.one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    pair.take_requests()

    for kind in (EventKind.READY, EventKind.FINISHED):
        await pair.two.receive(*(event(kind, request.submit_id) for request in requests))

    assert pair.take_requests() == {"read": 1}


async def test_results_of_the_other_are_read_together(pair: Pair) -> None:
    """A wait for jobs that ended through the other process costs one read for all of them."""
    slot = await pair.one.slot()
    requests = [pair.two.request(1) for _ in range(CALLS)]
    made = [await pair.two.send(request) for request in requests]
    jids = range(made[0][0], made[-1][-1] + 1)
    waiting = asyncio.create_task(pair.two.outcomes(jids, timeout_s=10))
    await pair.one.server.background.recovery.recover()
    while leases := (await pair.one.work(slot)).leases:
        await pair.one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    pair.take_requests()

    await pair.two.receive(*(event(EventKind.FINISHED, request.submit_id) for request in requests))

    assert set(await waiting) == set(jids)
    assert pair.take_requests() == {"read": 1}


async def test_batches_of_the_other_are_read_together(pair: Pair) -> None:
    """All ready markers are one read and all pages another, and all batches are queued."""
    requests = [pair.one.request(1) for _ in range(CALLS)]
    for request in requests:
        await pair.one.send(request)
    pair.take_requests()

    await pair.two.receive(*(event(EventKind.READY, request.submit_id) for request in requests))

    assert pair.take_requests()["read"] == 2
    pool = pool_of(ACCOUNT, wire.Options())
    assert pair.two.server.context.ready_queue.jobs(pool, 2 * CALLS) == CALLS + 2


async def test_a_full_pool_causes_no_scan_of_slots(pair: Pair) -> None:
    """While all slots that the machines can run are alive, a submit does not count them."""
    await pair.one.slot()
    await pair.one.slot()
    await pair.one.submit(1)
    await asyncio.sleep(0.05)
    pair.take_requests()

    for _ in range(CALLS):
        await pair.one.submit(1)
        await asyncio.sleep(0)

    assert pair.take_requests()["scan slots/"] == 0


async def test_what_the_other_has_finished_waits_for_no_slots(pair: Pair) -> None:
    """No slot of this process looks for such jobs: the next comparison with the store drops them,
    and what is queued by then stays.
    """
    slot = await pair.one.slot()
    requests = [pair.one.request(1) for _ in range(CALLS)]
    for request in requests:
        await pair.one.send(request)
    await pair.two.receive(*(event(EventKind.READY, request.submit_id) for request in requests))
    while leases := (await pair.one.work(slot)).leases:
        await pair.one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await pair.two.receive(*(event(EventKind.FINISHED, request.submit_id) for request in requests))
    (late,) = await pair.two.submit(1)

    await pair.two.server.background.reaper.resync()

    queue, pool = pair.two.server.context.ready_queue, pool_of(ACCOUNT, wire.Options())
    own = 2  # with which the pair has started
    assert [batch.first for batch in queue.batches(pool)] == [own, late]
