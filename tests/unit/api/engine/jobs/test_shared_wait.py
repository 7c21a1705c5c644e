"""Shared waits: one request leads, the others get its answer."""

from __future__ import annotations

import asyncio

import pytest
from picloud_api.engine.jobs.shared_wait import SharedWait, SharedWaits
from picloud_api.engine.process.turns import Turns
from picloud_model.errors import JobDeleted

TURN = Turns().of("a")


async def begin(waits: SharedWaits[str], followers: int) -> list[asyncio.Task[str | None]]:
    """Let some requests follow a leader."""
    shared, _ = waits.join(b"k")
    following = [asyncio.create_task(shared.follow(10)) for _ in range(followers)]
    await asyncio.sleep(0)
    return following


def led(waits: SharedWaits[str]) -> SharedWait[str]:
    """Return the wait that is led."""
    shared, is_new = waits.join(b"k")
    assert not is_new
    return shared


async def test_followers_get_the_answer_of_the_leader() -> None:
    """All of them; who comes later leads a new wait."""
    waits: SharedWaits[str] = SharedWaits()
    following = await begin(waits, 3)

    led(waits).answer("done", TURN)

    assert await asyncio.gather(*following) == ["done"] * 3
    assert waits.join(b"k")[1]


async def test_a_leader_that_leaves_is_followed_by_one() -> None:
    """The others go on following."""
    waits: SharedWaits[str] = SharedWaits()
    following = await begin(waits, 3)

    led(waits).pass_on()

    assert await following[0] is None
    assert not following[1].done()
    led(waits).answer("done", TURN)
    assert await asyncio.gather(*following[1:]) == ["done"] * 2


async def test_the_last_that_leaves_ends_the_wait() -> None:
    """Then the next request leads a new one."""
    waits: SharedWaits[str] = SharedWaits()
    shared, _ = waits.join(b"k")

    shared.pass_on()

    assert waits.join(b"k")[1]


async def test_a_new_leader_that_is_cancelled_passes_on() -> None:
    """No follower is left without a leader."""
    waits: SharedWaits[str] = SharedWaits()
    following = await begin(waits, 2)
    led(waits).pass_on()
    following[0].cancel()

    async with asyncio.timeout(30):
        assert await following[1] is None


async def test_a_follower_waits_no_longer_than_its_own_time() -> None:
    """Its leader may wait longer."""
    waits: SharedWaits[str] = SharedWaits()
    shared, _ = waits.join(b"k")

    with pytest.raises(TimeoutError):
        await shared.follow(0.01)

    shared.pass_on()
    assert waits.join(b"k")[1]


async def test_followers_get_the_error_of_the_leader() -> None:
    """They wait for the same jobs."""
    waits: SharedWaits[str] = SharedWaits()
    following = await begin(waits, 2)

    led(waits).answer(JobDeleted("Job 1 was deleted."), TURN)

    for each in following:
        with pytest.raises(JobDeleted):
            await each
