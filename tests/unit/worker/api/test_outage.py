"""How long the server has been away."""

from __future__ import annotations

import pytest
from picloud_worker.api.outage import Outage


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at 0."""
    return Clock()


def test_it_starts_with_the_first_failure(clock: Clock) -> None:
    """Further failures do not extend the grace."""
    outage = Outage(30.0, clock)
    for clock.now in (10.0, 20.0, 40.0):
        outage.failed()
    assert not outage.lost

    clock.now = 40.1

    assert outage.lost


def test_an_answer_ends_it(clock: Clock) -> None:
    """After an answer the grace counts from the next failure."""
    outage = Outage(30.0, clock)
    outage.failed()
    clock.now = 29.0
    outage.answered()
    clock.now = 100.0
    outage.failed()

    clock.now = 130.0

    assert not outage.lost


def test_silence_is_no_outage(clock: Clock) -> None:
    """Without a failed request the server counts as there."""
    outage = Outage(30.0, clock)

    clock.now = 1e6

    assert not outage.lost
