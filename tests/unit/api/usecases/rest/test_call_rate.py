"""Rate limits of endpoints."""

from __future__ import annotations

import pytest
from picloud_api.usecases.rest.call_rate import CallRates
from picloud_model.errors import TooManyCalls


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(rates: CallRates, endpoint: str, limit: int) -> int:
    """Return after how many seconds a refused call may be repeated; 0 if it is not refused."""
    try:
        rates.take(endpoint, limit)
    except TooManyCalls as error:
        return error.retry_after_s
    return 0


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
def test_a_minute_has_as_many_calls_as_the_limit(limit: int) -> None:
    """They may come at once; the next one is refused, and succeeds after the time that is named."""
    clock = Clock()
    rates = CallRates(clock)

    assert [refused(rates, "e", limit) for _ in range(limit)] == [0] * limit
    wait_s = refused(rates, "e", limit)
    assert 0 < wait_s <= 60 / limit + 1
    clock.now += wait_s
    assert not refused(rates, "e", limit)


def test_a_refused_call_costs_nothing() -> None:
    """However many are refused, the next one is due at the same time."""
    clock = Clock()
    rates = CallRates(clock)
    rates.take("e", 1)

    assert {refused(rates, "e", 1) for _ in range(100)} == {60}
    clock.now += 60
    assert not refused(rates, "e", 1)


def test_endpoints_have_limits_of_their_own() -> None:
    """One without a limit is never refused."""
    rates = CallRates(Clock())
    rates.take("e", 1)

    assert not refused(rates, "f", 1)
    assert not any(refused(rates, "free", 0) for _ in range(1000))


def test_a_slow_caller_is_never_refused() -> None:
    """Calls at the rate of the limit go on forever."""
    clock = Clock()
    rates = CallRates(clock)
    for _ in range(1000):
        rates.take("e", 7)
        clock.now += 60 / 7


def test_endpoints_that_are_idle_are_forgotten() -> None:
    """The counts of thousands of them take bounded memory."""
    clock = Clock()
    rates = CallRates(clock)
    for number in range(25_000):
        rates.take(f"e{number}", 60)
        clock.now += 0.01

    assert len(rates._free_at) <= 10_000
