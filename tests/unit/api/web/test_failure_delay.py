"""Failure delay: guessing keys becomes slow, for the address that guesses."""

from __future__ import annotations

import asyncio

import pytest
from picloud_api.web.failure_delay import LONGEST_S, MOST_ADDRESSES, MOST_WAITING, FailureDelay
from picloud_model.errors import AccountBusy, KeyRefused


class Sleeps:
    """Records how long it was to sleep."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self.last_end = asyncio.Event()
        self.last_end.set()

    async def sleep(self, seconds: float) -> None:
        """Record a sleep; wait only where a test holds it."""
        self.all.append(seconds)
        await self.last_end.wait()


async def _fail(delay: FailureDelay, address: str) -> None:
    with pytest.raises(KeyRefused):
        async with delay.attempt(address):
            raise KeyRefused


async def test_each_failure_doubles_the_delay() -> None:
    """The delay grows to five seconds; a success ends it, and others never wait."""
    sleeps = Sleeps()
    delay = FailureDelay(sleeps.sleep)
    for _ in range(9):
        await _fail(delay, "1.2.3.4")
    async with delay.attempt("5.6.7.8"):
        pass
    async with delay.attempt("1.2.3.4"):
        pass
    async with delay.attempt("1.2.3.4"):
        pass

    assert sleeps.all == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.0, LONGEST_S, 0.0]


async def test_attempts_from_one_address_wait_in_a_short_queue() -> None:
    """Guesses at the same time take their turn; if too many wait, the next one is refused."""
    sleeps = Sleeps()
    sleeps.last_end.clear()
    delay = FailureDelay(sleeps.sleep)
    tasks = [asyncio.create_task(_fail(delay, "1.2.3.4")) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(AccountBusy, match="try again"):
        async with delay.attempt("1.2.3.4"):
            pytest.fail("it must not begin")
    assert len(sleeps.all) == 1
    sleeps.last_end.set()
    await asyncio.gather(*tasks)


async def test_few_addresses_are_remembered() -> None:
    """However many addresses guess, memory is bounded."""
    sleeps = Sleeps()
    delay = FailureDelay(sleeps.sleep)
    for number in range(MOST_ADDRESSES + 5):
        await _fail(delay, str(number))

    assert len(delay._addresses) == MOST_ADDRESSES
