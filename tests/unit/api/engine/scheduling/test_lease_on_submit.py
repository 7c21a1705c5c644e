"""Leases to slots that wait, made by the transaction that makes the jobs."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.polling import eventually
from tests.unit.api.api_harness import report_of
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_model.wire import WorkAnswer

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi
    from tests.unit.api.recording_state import RecordingState


class Gate:
    """Holds the transactions of a state store back until it is opened."""

    def __init__(self, state: RecordingState) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()
        state.before_commit = self._pass

    async def _pass(self) -> None:
        self.reached.set()
        await self.open.wait()


@pytest.fixture
async def shared_api(start_api: StartApi) -> ApiHarness:
    """A server whose commits are tasks of their own, as with Consul."""
    return await start_api(SharedRecordingState)


@pytest.fixture
def gate(shared_api: ApiHarness) -> Gate:
    """A gate before the transactions of that server."""
    return Gate(shared_api.state)


async def parked(
    api: ApiHarness, slot: SlotSession, wait_s: float = 10.0
) -> asyncio.Task[WorkAnswer]:
    """Start a request for work of a slot that finds none; return it once it waits."""
    task = asyncio.create_task(api.work(slot, wait_s=wait_s))
    await until_parked(slot)
    return task


async def until_parked(slot: SlotSession) -> None:
    """Wait until a slot has found no work and waits."""
    await eventually(lambda: slot.parked, "the slot waits")


async def test_a_job_is_leased_by_the_transaction_that_makes_it(api: ApiHarness) -> None:
    """If a slot waits, submit and lease are one transaction: a warm call costs two."""
    slot = await api.slot()
    waiting = await parked(api, slot)
    before = api.server.context.commits.transactions

    jids = await api.submit(1)

    assert api.server.context.commits.transactions - before == 1
    [lease] = (await waiting).leases
    await api.work(slot, reports=[report_of(lease)], lease=False)
    assert await api.statuses(jids) == ["done"]
    assert api.server.context.commits.transactions - before == 2
    assert api.server.context.ready_queue.pools() == []


async def test_the_rest_of_a_map_is_queued(api: ApiHarness) -> None:
    """One slot is leased the first job at once; every other slot is woken for what is left."""
    slots = [await api.slot(), await api.slot()]
    waits = [await parked(api, slot) for slot in slots]

    await api.submit(3)

    answers = [await wait for wait in waits]
    leased = [job.index for answer in answers for lease in answer.leases for job in lease.jobs]
    assert sorted(leased) == [0, 1]
    assert [job.index for job in (await api.work(slots[0])).leases[0].jobs] == [2]


async def test_what_was_queued_before_goes_first(api: ApiHarness) -> None:
    """A new batch does not overtake others of its pool."""
    slot = await api.slot()
    waiting = await parked(api, slot)
    slot.parked = False
    older = await api.submit(1)
    slot.parked = True

    await api.submit(1)

    assert [lease.first for lease in (await waiting).leases][:1] == [older[0]]


async def test_batches_made_together_go_to_different_slots(
    shared_api: ApiHarness, gate: Gate
) -> None:
    """Of two batches in one transaction, a waiting slot gets one; the other is queued."""
    slot = await shared_api.slot()
    waiting = await parked(shared_api, slot)
    gate.open.clear()
    gate.reached.clear()
    first = asyncio.create_task(shared_api.submit(1, function="warm"))
    await gate.reached.wait()
    others = [asyncio.create_task(shared_api.submit(1, function=name)) for name in "ab"]
    await asyncio.sleep(0)
    gate.open.set()

    made = [await task for task in (first, *others)]

    [lease] = (await waiting).leases
    assert lease.first == made[0][0]
    [lease] = (await shared_api.work(slot)).leases
    assert lease.first == made[1][0]


async def test_a_wait_that_ends_meanwhile_loses_nothing(shared_api: ApiHarness, gate: Gate) -> None:
    """A lease for a slot whose wait has ended comes with the slot's next answer, once."""
    slot = await shared_api.slot()
    waiting = await parked(shared_api, slot, wait_s=0.05)
    gate.open.clear()
    submitting = asyncio.create_task(shared_api.submit(1, restartable=False))
    await gate.reached.wait()
    slot.wake()
    await asyncio.sleep(0.06)
    gate.open.set()
    jids = await submitting

    leases = (await waiting).leases or (await shared_api.work(slot, resync=True)).leases

    assert [job.attempt for lease in leases for job in lease.jobs] == [1]
    await shared_api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    assert await shared_api.statuses(jids) == ["done"]


async def test_a_slot_that_leaves_gives_back_what_it_never_received(api: ApiHarness) -> None:
    """A lease that waits for a slot which leaves goes to another one, uncharged."""
    slot = await api.slot()
    waiting = await parked(api, slot)
    submitting = asyncio.create_task(api.submit(1, restartable=False))
    while not slot.handed:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)

    leaving = await api.work(slot, leaving=True)

    assert await submitting
    assert (await waiting).leases == leaving.leases == []
    [lease] = (await api.work(await api.slot())).leases
    assert lease.jobs[0].attempt == 2


async def test_what_has_more_to_do_is_answered_first(api: ApiHarness) -> None:
    """The slot has its lease before the submit returns, and the client its result before the slot
    that reported it looks for more: on few cores, the next step must not queue behind an answer.
    """
    turns = api.server.context.turns
    turns.slice_s = turns.allowed_s = math.inf  # a busy machine makes slices of work that is short
    slot = await api.slot()
    order: list[str] = []

    async def noted(name: str, answering: Awaitable[Any]) -> Any:
        answer = await answering
        order.append(name)
        return answer

    leased = asyncio.create_task(noted("lease", api.work(slot, wait_s=10.0)))
    await until_parked(slot)
    jids = await noted("submit", api.submit(1))
    result = asyncio.create_task(noted("result", api.outcomes(jids, 10.0)))
    await asyncio.sleep(0)
    report = report_of((await leased).leases[0])
    await noted("report", api.work(slot, reports=[report]))

    assert await result
    assert order == ["lease", "submit", "result", "report"]


async def test_a_request_ends_the_wait_of_the_one_before(api: ApiHarness) -> None:
    """A slot that asks again has given up its last request, so that one gets no lease."""
    slot = await api.slot()
    given_up = await parked(api, slot)
    asking = asyncio.create_task(api.work(slot, wait_s=10.0))
    assert (await given_up).leases == []
    await until_parked(slot)

    await api.submit(1)

    assert len((await asking).leases) == 1
