"""Two processes over one state, without time: what they cost each other, in operations."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

import pytest
from picloud_api import wiring
from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.store.records import Event, EventKind
from picloud_driver.blobs.directory import DirectoryBlobs
from picloud_driver.secrets.file import FileSecrets
from picloud_driver.state import Conflict
from picloud_driver.state.sqlite import SqliteState
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT, ApiHarness, RecordingScheduler, report_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from picloud_driver.state import Operation, StateEntry

CALLS = 20


class SharedState(SqliteState):
    """A store that several processes write to, and that counts what they ask of it."""

    shared: ClassVar[bool] = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: Counter[str] = Counter()

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        self.asked["read"] += 1
        return await super().get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        self.asked[f"scan {prefix}"] += 1
        return await super().scan(prefix, after, limit)

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        self.asked["transaction"] += 1
        # Here the others have their turn, as while a request travels.
        await asyncio.sleep(0)
        try:
            return await super().commit(operations)
        except Conflict:
            self.asked["refused"] += 1
            raise


class Process(ApiHarness):
    """One of the processes, which share all but memory. Notifier ring only when a test says so."""

    def __init__(self, root: Path, state: SharedState, scheduler: RecordingScheduler) -> None:
        super().__init__(root)
        self.scheduler = scheduler
        self._state = state

    def ports(self) -> wiring.Ports:
        secrets = FileSecrets(self.root / "secrets")
        blobs = DirectoryBlobs(self.root / "blobs")
        return wiring.Ports(self._state, blobs, secrets, self.scheduler)

    async def hear(self, *events: Event) -> None:
        """What the other has changed."""
        await self.server.background.events.on_remote_events(events)


class Pair:
    """Both, and what they share."""

    def __init__(self, root: Path) -> None:
        self.state = SharedState(root / "state.sqlite")
        scheduler = RecordingScheduler()
        self.one, self.two = (Process(root, self.state, scheduler) for _ in range(2))

    def since(self) -> Counter[str]:
        """What was asked of the store since the last time."""
        found, self.state.asked = self.state.asked, Counter()
        return found


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two processes that have made a batch each, so that what is common is known to both."""
    made = Pair(tmp_path)
    for process in (made.one, made.two):
        await process.start()
        await process.submit(1)
    made.since()
    yield made
    for process in (made.one, made.two):
        await process.server.background.stop()
        await process.use_cases.jobs.kill.stop()
    await made.state.close()


def told(change: EventKind, batch: str) -> Event:
    """A event of the account."""
    return Event(change, ACCOUNT, batch)


async def test_who_heard_of_a_submit_is_not_refused(pair: Pair) -> None:
    """A process that was told of the other's batch knows the next jid: its submit is one
    transaction, though each of the two makes every other batch.
    """
    await pair.two.hear(told(EventKind.READY, "none"))
    await pair.one.hear(told(EventKind.READY, "none"))
    pair.since()
    jids = []
    for number in range(CALLS):
        one, other = (pair.one, pair.two) if number % 2 else (pair.two, pair.one)
        request = one.request(1)
        jids += list(await one.send(request))
        await other.hear(told(EventKind.READY, request.submit_id))

    asked = pair.since()
    assert jids == list(range(3, 3 + CALLS))
    assert (asked["transaction"], asked["refused"]) == (CALLS, 0)


async def test_who_did_not_hear_plans_once_more(pair: Pair) -> None:
    """A refused transaction costs one read of all that was wrong, and one more transaction."""
    await pair.two.submit(1)
    pair.since()
    assert await pair.one.submit(1) == range(4, 5)

    asked = pair.since()
    assert (asked["transaction"], asked["refused"], asked["read"]) == (2, 1, 1)


async def test_jids_rise_whichever_process_serves(pair: Pair) -> None:
    """The calls of one user get rising jids, those of a map are consecutive, none is given twice,
    though no bell is heard and processes are asked at once.
    """
    latest, taken = 0, []
    for number in range(CALLS):
        first = pair.two if number % 3 else pair.one
        other = pair.one if number % 3 else pair.two
        mine, theirs = await asyncio.gather(first.submit(3), other.submit(1))
        assert mine[0] > latest
        latest = mine[-1]
        taken += [*mine, *theirs]

    assert len(taken) == len(set(taken))


async def test_what_is_over_before_it_was_heard_of_costs_one_read(pair: Pair) -> None:
    """A process whose slots were not needed looks once for all the batches it hears of."""
    slot = await pair.one.slot()
    requests = [pair.one.request(1) for _ in range(CALLS)]
    for request in requests:
        await pair.one.send(request)
    while leases := (await pair.one.work(slot)).leases:
        await pair.one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    pair.since()

    for change in (EventKind.READY, EventKind.FINISHED):
        await pair.two.hear(*(told(change, request.submit_id) for request in requests))

    assert pair.since() == {"read": 1}


async def test_results_of_the_other_are_read_together(pair: Pair) -> None:
    """Whoever waits here for calls that the other ended costs one read, for all of them."""
    slot = await pair.one.slot()
    requests = [pair.two.request(1) for _ in range(CALLS)]
    made = [await pair.two.send(request) for request in requests]
    jids = range(made[0][0], made[-1][-1] + 1)
    waiting = asyncio.create_task(pair.two.outcomes(jids, timeout_s=10))
    await pair.one.server.background.recovery.recover()
    while leases := (await pair.one.work(slot)).leases:
        await pair.one.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    pair.since()

    await pair.two.hear(*(told(EventKind.FINISHED, request.submit_id) for request in requests))

    assert set(await waiting) == set(jids)
    assert pair.since() == {"read": 1}


async def test_batches_of_the_other_are_looked_at_together(pair: Pair) -> None:
    """Markers in one read, pages in another, however many batches were made; and all are queued."""
    requests = [pair.one.request(1) for _ in range(CALLS)]
    for request in requests:
        await pair.one.send(request)
    pair.since()

    await pair.two.hear(*(told(EventKind.READY, request.submit_id) for request in requests))

    assert pair.since()["read"] == 2
    pool = pool_of(ACCOUNT, wire.Options())
    assert pair.two.server.context.ready_queue.jobs(pool, 2 * CALLS) == CALLS + 2


async def test_a_full_pool_is_not_looked_at_for_each_batch(pair: Pair) -> None:
    """As long as every slot there may be lives, a submit looks for nothing."""
    await pair.one.slot()
    await pair.one.slot()
    await pair.one.submit(1)
    await asyncio.sleep(0.05)
    pair.since()

    for _ in range(CALLS):
        await pair.one.submit(1)
        await asyncio.sleep(0)

    assert pair.since()["scan slots/"] == 0
