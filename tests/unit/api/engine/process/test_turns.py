"""Turns: long work leaves room for other work, and accounts take turns."""

from __future__ import annotations

import asyncio

import pytest
from picloud_api.engine.process.turns import TOGETHER, Turns
from picloud_model.wire import JSON, MSGPACK, Statuses, StatusRun, decode, encode


class Clock:
    """A clock that each reading puts on by one second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


async def work(turns: Turns, account: str, done: list[str], steps: int) -> None:
    """Work for an account; each step takes a whole slice."""
    async with turns.of(account) as turn:
        for _ in range(steps):
            done.append(account)
            await turn.pause()


async def test_other_work_goes_on_between_slices() -> None:
    """After each slice the event loop goes on with what else there is."""
    turns, done = Turns(slice_s=1, clock=Clock()), list[str]()
    long = asyncio.create_task(work(turns, "long", done, 100))
    await asyncio.sleep(0)

    for _ in range(10):
        await asyncio.sleep(0)

    assert 0 < len(done) <= 11
    await long
    assert len(done) == 100


async def test_accounts_take_turns() -> None:
    """An account with much work delays that of another by a slice for each of its own."""
    turns, done = Turns(slice_s=1, clock=Clock()), list[str]()
    many = [asyncio.create_task(work(turns, "many", done, 10)) for _ in range(50)]
    await asyncio.sleep(0)

    await work(turns, "one", done, 5)

    assert done.count("many") <= 15
    await asyncio.gather(*many)


async def test_work_that_is_cancelled_keeps_no_turn() -> None:
    """What waits for a turn may be cancelled; the others go on."""
    turns, done = Turns(slice_s=1, clock=Clock()), list[str]()
    tasks = [asyncio.create_task(work(turns, "a", done, 3)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()

    await asyncio.gather(*tasks, return_exceptions=True)

    assert len(done) == 6


async def test_a_short_piece_of_work_does_not_wait() -> None:
    """While nothing else runs, work begins without the event loop."""
    turns = Turns()
    async with turns.of("a") as turn:
        await turn.pause()

    working = turns.begin("b")

    try:
        working.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


@pytest.mark.parametrize("media", [MSGPACK, JSON])
@pytest.mark.parametrize("count", [0, TOGETHER, TOGETHER + 1, 10 * TOGETHER])
async def test_a_long_list_is_encoded_in_slices(media: str, count: int) -> None:
    """The reply is that which an encoding in one go makes, and other work goes on meanwhile."""
    turns, done = Turns(slice_s=1, clock=Clock()), list[str]()
    statuses = Statuses(runs=[StatusRun(jid, jid, "done") for jid in range(count)])
    other = asyncio.create_task(work(turns, "other", done, 5))
    await asyncio.sleep(0)

    encoded = await turns.of("long").encode(statuses, "runs", media)

    assert decode(encoded, Statuses, media) == decode(encode(statuses, media), Statuses, media)
    assert len(done) == 5 or count < 5 * TOGETHER
    await other
