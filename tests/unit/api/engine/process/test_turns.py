"""Turns: long work leaves room for other work, and accounts take turns."""

from __future__ import annotations

import asyncio

import pytest
from picloud_api.engine.process.turns import (
    ACTIVE_S,
    PACED_SLICES,
    PAUSE_S,
    TOGETHER,
    Turns,
)
from picloud_model.wire import JSON, MSGPACK, Statuses, StatusRun, decode, encode


class Clock:
    """A clock that each reading puts on, by one second if not said otherwise."""

    def __init__(self, step_s: float = 1.0) -> None:
        self.now = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


STEP_S = 0.0001
"""So short that all of a test is within the time in which an account counts as active."""


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


@pytest.mark.parametrize(("active", "at_once"), [([], 3), (["many"], 3), (["one", "many"], 1)])
async def test_many_reads_come_one_at_a_time_while_others_send_requests(
    active: list[str], at_once: int
) -> None:
    """An account that is alone makes as many reads as it likes, and pauses after none."""
    turns, now, most = Turns(clock=Clock(STEP_S)), 0, 0

    async def read() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    for account in active:
        turns.note_request(account)
    await asyncio.gather(*(turns.of("many").read(read) for _ in range(3)))

    assert most == at_once


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


async def test_an_account_that_used_nothing_does_not_wait() -> None:
    """Whatever waits for its turn: its work is short, or it would have to wait for the next."""
    turns, done = Turns(slice_s=STEP_S, clock=Clock(STEP_S)), list[str]()
    many = [asyncio.create_task(work(turns, "many", done, 3)) for _ in range(50)]
    await asyncio.sleep(0)

    with pytest.raises(StopIteration):
        turns.begin("one").send(None)

    await asyncio.gather(*many)


async def rounds_of(turns: Turns, account: str, slices: int) -> int:
    """Return in how many rounds of the event loop some work is done."""
    rounds = 0
    working = asyncio.create_task(work(turns, account, [], slices))
    while not working.done():
        rounds += 1
        await asyncio.sleep(0)
    return rounds


async def test_long_work_pauses_while_others_send_requests() -> None:
    """Most of their requests come in a pause, and the process gives way to others."""
    turns, slices = Turns(slice_s=STEP_S, clock=Clock(STEP_S)), 20
    begun_s = asyncio.get_running_loop().time()
    turns.note_request("long")
    turns.note_request("one")

    await work(turns, "long", [], slices)

    took_s = asyncio.get_running_loop().time() - begun_s
    assert took_s >= (slices / PACED_SLICES - 2) * PAUSE_S


async def test_long_work_of_several_accounts_pauses_for_another() -> None:
    """Requests of the accounts that have long work do not hide those of an account without."""
    turns, slices = Turns(slice_s=STEP_S, clock=Clock(STEP_S)), 20
    for account in ("one", "long", "other", "third", "long"):
        turns.note_request(account)
    await asyncio.gather(*[work(turns, each, [], 3) for each in ("long", "other", "third")])
    begun_s = asyncio.get_running_loop().time()

    await work(turns, "long", [], slices)

    took_s = asyncio.get_running_loop().time() - begun_s
    assert took_s >= (slices / PACED_SLICES - 2) * PAUSE_S


def test_a_lone_account_costs_one_look_at_the_clock() -> None:
    """Its requests are not listed, and accounts that are quiet again are forgotten."""
    clock = Clock(STEP_S)
    turns = Turns(clock=clock)
    for _ in range(100):
        turns.note_request("lone")

    assert round(clock.now / STEP_S) == 100
    assert not turns._earlier_at

    for number in range(5000):
        turns.note_request(f"{number}")
    assert len(turns._earlier_at) <= ACTIVE_S / STEP_S
    clock.now += 1.0
    turns.note_request("last")
    assert not turns._earlier_at


@pytest.mark.parametrize("latest", ["long", "other"])
async def test_long_work_does_not_pause_for_itself(latest: str) -> None:
    """Nor for an account with long work: the two take turns."""
    turns = Turns(slice_s=STEP_S, clock=Clock(STEP_S))
    await asyncio.gather(*[work(turns, account, [], 3) for account in ("other", "long")])
    other = asyncio.create_task(work(turns, "other", [], 40))
    for account in ("other", "long", latest):
        turns.note_request(account)

    assert await rounds_of(turns, "long", 10) <= 30
    await other


async def test_long_work_goes_on_once_the_others_are_quiet() -> None:
    """A request of long ago is no reason to pause."""
    clock = Clock(STEP_S)
    turns = Turns(slice_s=STEP_S, clock=clock)
    turns.note_request("one")
    turns.note_request("long")
    clock.now += 1.0

    assert await rounds_of(turns, "long", 10) <= 15


async def test_a_rest_lets_the_event_loop_go_on() -> None:
    """However little work there was before it."""
    turns = Turns()
    resting = asyncio.create_task(turns.of("a").rest())
    await asyncio.sleep(0)

    assert not resting.done()
    await resting


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
