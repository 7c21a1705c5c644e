"""Leases to slots that wait, made by the transaction that makes the jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.api.api_harness import report_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from picloud_driver.state import Operation
    from picloud_model.wire import WorkAnswer

    from tests.unit.api.api_harness import ApiHarness, SlotSession


class Gate:
    """A state store whose commits are under way until the gate is open."""

    def __init__(self, api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        state = api.server.ports.state
        self.commit = state.commit
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()
        monkeypatch.setattr(state, "commit", self._commit)
        monkeypatch.setattr(type(state), "shared", True)

    async def _commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        self.reached.set()
        await self.open.wait()
        return await self.commit(operations)


@pytest.fixture
def gate(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A gate before the commits of the store."""
    return Gate(api, monkeypatch)


async def parked(
    api: ApiHarness, slot: SlotSession, wait_s: float = 10.0
) -> asyncio.Task[WorkAnswer]:
    """A slot's request for work that found none and waits."""
    task = asyncio.create_task(api.work(slot, wait_s=wait_s))
    await until_parked(slot)
    return task


async def until_parked(slot: SlotSession) -> None:
    """The slot has found no work and waits."""
    async with asyncio.timeout(10):
        while not slot.parked:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_a_job_is_leased_by_the_transaction_that_makes_it(api: ApiHarness) -> None:
    """Where a slot waits, submit and lease are one transaction: a warm call costs two."""
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


async def test_batches_made_together_go_to_different_slots(api: ApiHarness, gate: Gate) -> None:
    """Of two batches in one transaction a slot that waits gets one; the other is queued."""
    slot = await api.slot()
    waiting = await parked(api, slot)
    gate.open.clear()
    gate.reached.clear()
    first = asyncio.create_task(api.submit(1, function="warm"))
    await gate.reached.wait()
    others = [asyncio.create_task(api.submit(1, function=name)) for name in "ab"]
    await asyncio.sleep(0)
    gate.open.set()

    made = [await task for task in (first, *others)]

    [lease] = (await waiting).leases
    assert lease.first == made[0][0]
    [lease] = (await api.work(slot)).leases
    assert lease.first == made[1][0]


async def test_a_wait_that_ends_meanwhile_loses_nothing(api: ApiHarness, gate: Gate) -> None:
    """A lease committed for a slot whose wait ran out comes with its next answer, once."""
    slot = await api.slot()
    waiting = await parked(api, slot, wait_s=0.05)
    gate.open.clear()
    submitting = asyncio.create_task(api.submit(1, restartable=False))
    await gate.reached.wait()
    slot.wake()
    await asyncio.sleep(0.06)
    gate.open.set()
    jids = await submitting

    leases = (await waiting).leases or (await api.work(slot, resync=True)).leases

    assert [job.attempt for lease in leases for job in lease.jobs] == [1]
    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    assert await api.statuses(jids) == ["done"]


async def test_a_slot_that_leaves_gives_back_what_it_never_heard_of(api: ApiHarness) -> None:
    """A lease that waits for a slot which says goodbye goes to another, uncharged."""
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


async def test_whoever_has_more_to_do_is_answered_first(api: ApiHarness) -> None:
    """The slot has its lease before the submit is answered; the client its result before the slot
    that reported it looks for more: on few cores, the next step does not queue behind an answer.
    """
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
    """A slot that asks again has given up its last request: no lease goes to that one's answer."""
    slot = await api.slot()
    given_up = await parked(api, slot)
    asking = asyncio.create_task(api.work(slot, wait_s=10.0))
    assert (await given_up).leases == []
    await until_parked(slot)

    await api.submit(1)

    assert len((await asking).leases) == 1
