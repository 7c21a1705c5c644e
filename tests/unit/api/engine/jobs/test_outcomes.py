"""Outcomes of a reply: counted before they are read, encoded once, in portions."""

from __future__ import annotations

import asyncio
import operator
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.jobs.locate import locate
from picloud_api.engine.jobs.outcomes import ANSWER_JOBS, IN_A_ROW, FinalOutcomes
from picloud_api.engine.process.turns import Turns
from picloud_model import wire
from picloud_model.errors import AccountBusy

from tests.unit.api.api_harness import ACCOUNT, UncountedBytes, hold

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

JOBS = 1200
"""More than are encoded together."""


async def read(api: ApiHarness, jobs: int = JOBS, *, payloads: bool = True) -> FinalOutcomes:
    """Return the outcomes of a killed map."""
    jids = await api.submit(jobs)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    request = wire.WaitRequest(jids=[(jids[0], jids[-1])], timeout_s=0.0, payloads=payloads)
    return await api.use_cases.jobs.wait.wait(ACCOUNT, request, hold)


@pytest.mark.parametrize("media", [wire.MSGPACK, wire.JSON])
async def test_a_long_reply_is_encoded_as_a_short_one(api: ApiHarness, media: str) -> None:
    """Its portions make the same body as if it were encoded at once."""
    outcomes = await read(api)

    body = wire.decode(await outcomes.encoded(media), wire.Outcomes, media)

    assert [outcome.jid for outcome in body.outcomes] == list(range(1, JOBS + 1))
    assert body.outcomes == outcomes.outcomes
    assert [envelope.python for envelope in body.envelopes] == [""]


async def test_a_reply_has_a_bounded_number_of_outcomes(api: ApiHarness) -> None:
    """The first ones are in it, and the client requests the rest; without results all are in it."""
    outcomes = await read(api, ANSWER_JOBS + 1)
    without_results = await read(api, ANSWER_JOBS + 1, payloads=False)

    assert [outcome.jid for outcome in outcomes.outcomes] == list(range(1, ANSWER_JOBS + 1))
    assert len(without_results.outcomes) == ANSWER_JOBS + 1


async def test_a_reply_is_encoded_once(api: ApiHarness) -> None:
    """All replies with the same content share the bytes."""
    outcomes = await read(api)

    assert await outcomes.encoded(wire.JSON) is await outcomes.encoded(wire.JSON)


async def test_others_are_served_between_few_outcomes(api: ApiHarness) -> None:
    """Once its slice is used up, a reply goes on after a round of the event loop, however long."""
    jids = await api.submit(JOBS)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    view, turn = api.server.context.commits.view, Turns(slice_s=0.0).of(ACCOUNT)
    pieces = await locate(view, ACCOUNT, [(jids[0], jids[-1])], turn)
    outcomes = FinalOutcomes(turn)
    reading = asyncio.create_task(outcomes.read(view, pieces, JOBS, hold, payloads=True))

    lengths = [0]
    while not reading.done():
        await asyncio.sleep(0)
        lengths.append(len(outcomes.outcomes))
    await reading

    assert lengths[-1] == JOBS
    assert max(map(operator.sub, lengths[1:], lengths)) <= IN_A_ROW


async def test_bytes_are_counted_before_they_are_read(api: ApiHarness) -> None:
    """Without room for them nothing is read; afterwards no more are counted than there are."""
    jids = await api.submit(JOBS)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    request = wire.WaitRequest(jids=[(jids[0], jids[-1])], timeout_s=0.0)
    counted: list[int] = []

    class Held(UncountedBytes):
        def keep(self, size: int) -> None:
            counted.append(size)

    async def count(size: int) -> Held:
        counted.append(size)
        return Held()

    async def refuse(size: int) -> Held:
        del size
        raise AccountBusy

    await api.use_cases.jobs.wait.wait(ACCOUNT, request, count)
    with pytest.raises(AccountBusy):
        await api.use_cases.jobs.wait.wait(ACCOUNT, request, refuse)

    assert counted[0] > counted[1] > JOBS * 24
