"""Live queries: sent with a heartbeat's response, answered with the next heartbeat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_api.engine.jobs.live_query import FRESH_S, LiveQueries, held_at
from picloud_model import wire
from picloud_model.page import PAGE_JOBS, Page

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

JOB = wire.AttemptRef("b" * 32, 0, 1)
SLOT = 7


def answer(query: wire.LiveQuery, text: bytes) -> wire.LiveAnswer:
    """Return the answer of a slot: what its job wrote."""
    info = wire.Info(streams={"stdout": wire.Stream(0, text)})
    return wire.LiveAnswer(query.number, wire.pack_info(info))


async def asked(api: ApiHarness, text: bytes) -> wire.Info | None:
    """Ask for a job's info, and answer in the name of its slot."""
    live = api.server.live
    asking = asyncio.create_task(live.info(ACCOUNT, JOB, SLOT, {}))
    await asyncio.sleep(0)
    for query in live.take_queries(SLOT):
        live.receive_answers(SLOT, [answer(query, text)])
    return await asking


async def test_a_query_waits_for_the_heartbeat_of_its_slot(api: ApiHarness) -> None:
    """It is taken once; another slot gets nothing of it."""
    live = api.server.live
    asking = asyncio.create_task(live.info(ACCOUNT, JOB, SLOT, {"stdout": 4}))
    await asyncio.sleep(0)

    assert live.take_queries(SLOT + 1) == []
    (query,) = live.take_queries(SLOT)
    assert live.take_queries(SLOT) == []
    live.receive_answers(SLOT, [answer(query, b"so far")])

    assert (query.job, query.since) == (JOB, {"stdout": 4})
    info = await asking
    assert info is not None
    assert info.streams["stdout"].data == b"so far"


async def test_answers_to_queries_of_others_are_ignored(api: ApiHarness) -> None:
    """A slot cannot answer for another one, nor a second time."""
    live = api.server.live
    asking = asyncio.create_task(live.info(ACCOUNT, JOB, SLOT, {}))
    await asyncio.sleep(0)
    (query,) = live.take_queries(SLOT)

    live.receive_answers(SLOT + 1, [answer(query, b"lies")])
    live.receive_answers(SLOT, [answer(query, b"truth")])
    live.receive_answers(SLOT, [answer(query, b"late")])

    info = await asking
    assert info is not None
    assert info.streams["stdout"].data == b"truth"


async def test_an_answer_is_fresh_for_a_second(api: ApiHarness) -> None:
    """Many clients that ask at once cost the slot one answer."""
    first = await asked(api, b"one")
    again = await asked(api, b"two")
    api.now += FRESH_S
    later = await asked(api, b"three")

    assert again == first
    assert later is not None
    assert later.streams["stdout"].data == b"three"


async def test_a_slot_that_does_not_answer_is_not_waited_for(api: ApiHarness) -> None:
    """The client gets what the server knows; nothing of the query stays."""
    live = LiveQueries(api.server.context, patience_s=0.01)

    assert await live.info(ACCOUNT, JOB, SLOT, {}) is None
    assert live.take_queries(SLOT) == []


async def test_what_is_no_info_counts_as_no_answer(api: ApiHarness) -> None:
    """A slot may send anything."""
    live = api.server.live
    asking = asyncio.create_task(live.info(ACCOUNT, JOB, SLOT, {}))
    await asyncio.sleep(0)
    (query,) = live.take_queries(SLOT)

    live.receive_answers(SLOT, [wire.LiveAnswer(query.number, b"\xc1")])

    assert await asking is None


def test_an_attempt_is_named_by_its_index_in_the_batch() -> None:
    """A slot counts jobs over all pages of their batch."""
    page = Page.fresh(3)
    page.attempt[2] = 5

    assert held_at("b" * 32, 4, page, 2) == wire.AttemptRef("b" * 32, 4 * PAGE_JOBS + 2, 5)
