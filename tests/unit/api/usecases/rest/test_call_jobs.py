"""Jobs of calls: alone, or in a batch with others that arrive in the same moment."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_api.usecases.rest.call_address import Call
from picloud_model import wire
from picloud_model.wire.rest import InvokeRequest, Parameter, PublishRequest

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, hold, report_of
from tests.unit.api.job_info import info_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.usecases.rest.call_result import CallResult, LargeCallResult
    from picloud_model.wire import Lease

    from tests.unit.api.api_harness import ApiHarness

LONG_S = 60.0


async def publish(api: ApiHarness, **options: Any) -> None:
    """Publish a function of x."""
    job = replace(api.request(1, **options), kind="call")
    request = PublishRequest(label="e", parameters=[Parameter(name="x")], job=job)
    await api.use_cases.rest.endpoints.publish(ACCOUNT, request)


async def invoke(api: ApiHarness, x: object, submit_id: str = "") -> int:
    """Call it; return the jid."""
    request = InvokeRequest(label="e", submit_id=submit_id, calls=[{"x": x}])
    return (await api.use_cases.rest.endpoints.invoke(ACCOUNT, request)).first


async def waited(api: ApiHarness, x: object) -> CallResult | LargeCallResult | None:
    """Call it, and wait for the result."""
    call = Call(await invoke(api, x), 1)
    return await api.use_cases.rest.endpoints.result(ACCOUNT, "e", call, hold, LONG_S)


async def one_waits(api: ApiHarness) -> asyncio.Task[object]:
    """Call it once; return the task that waits for the result."""
    task: asyncio.Task[object] = asyncio.create_task(waited(api, 0))
    await eventually(lambda: api.server.context.batch_watchers._watches, "the call is waited for")
    return task


def transactions(api: ApiHarness) -> int:
    """Return how many transactions there were."""
    return api.server.context.commits.transactions


async def run_all(api: ApiHarness, slot: SlotSession) -> AsyncIterator[list[Lease]]:
    """Run what is queued, and yield the leases of each answer."""
    leases = (await api.work(slot)).leases
    while leases:
        yield leases
        leases = (await api.work(slot, reports=[report_of(each) for each in leases])).leases


async def test_calls_that_arrive_together_are_made_by_one_transaction(api: ApiHarness) -> None:
    """While another one is waited for; each has a jid of its own, and is listed as a call."""
    await publish(api)
    first = await one_waits(api)
    before = transactions(api)

    jids = await asyncio.gather(*(invoke(api, each) for each in range(8)))

    assert transactions(api) - before == 1
    assert sorted(jids) == list(range(2, 10))
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(label="e"))
    assert {job.jid for job in listed.jobs} == {1, *jids}
    made = (await info_values(api, range(2, 10), "pilog")).values()
    assert all("created: a call of f" in str(each["pilog"]) for each in made)
    first.cancel()


async def test_eight_requests_that_wait_cost_three_transactions(api: ApiHarness) -> None:
    """One makes the jobs, one leases them, one stores the results: alone, each call takes two.

    The slot gets all of them with one answer, as they are quick.
    """
    await publish(api)
    slot = await api.slot()
    first = await one_waits(api)
    answers = [leases async for leases in run_all(api, slot)]
    await first
    other = await one_waits(api)
    before = transactions(api)

    waiting = [asyncio.create_task(waited(api, each)) for each in range(8)]
    await eventually(lambda: api.server.context.ready_queue.jobs(slot.pool, 9) == 9, "all queued")
    answers = [leases async for leases in run_all(api, slot)]

    assert [sum(len(each.jobs) for each in leases) for leases in answers] == [9]
    assert all(await asyncio.gather(*waiting, other))
    assert transactions(api) - before == 3


async def test_a_call_that_is_alone_is_submitted_at_once(api: ApiHarness) -> None:
    """So no call takes longer because others may share a batch."""
    await publish(api)
    submitting = asyncio.create_task(invoke(api, 1))

    await asyncio.sleep(0)

    assert submitting.done()
    assert await submitting == 1


async def test_calls_with_an_id_or_large_arguments_have_batches_of_their_own(
    api: ApiHarness,
) -> None:
    """A call that may be repeated must be found by its id."""
    await publish(api)
    first = await one_waits(api)
    before = transactions(api)
    ids = [uuid.uuid4().hex for _ in range(3)]

    jids = await asyncio.gather(
        *(invoke(api, each, ids[each]) for each in range(3)),
        *(invoke(api, x) for x in ("x" * 2000, ["x"], {"x": 1})),
    )

    assert transactions(api) - before == 6
    assert await invoke(api, 1, ids[1]) == jids[1]
    first.cancel()


async def test_calls_that_notify_have_batches_of_their_own(api: ApiHarness) -> None:
    """The end of each is posted, not that of the last one."""
    await publish(api, on_done="https://example.org/done")
    first = await one_waits(api)
    before = transactions(api)

    await asyncio.gather(*(invoke(api, each) for each in range(3)))

    assert transactions(api) - before == 3
    first.cancel()
