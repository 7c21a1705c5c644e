"""Rates of queues."""

from __future__ import annotations

from picloud_api.usecases.queues.queue_rates import QueueRateCounter

ACCOUNT = "a0000001"


class Clock:
    """A clock that stands still."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_an_hour_is_kept() -> None:
    """The present ten seconds are not shown, nor what was more than an hour ago."""
    clock = Clock()
    counter = QueueRateCounter(clock)
    counter.pushed(ACCOUNT, "q", 5)
    clock.now += 10
    counter.pushed(ACCOUNT, "q", 7)
    counter.failed(ACCOUNT, "q", 1)

    assert counter.of(ACCOUNT, "q").pushed == [5]
    clock.now += 3580
    counter.removed(ACCOUNT, "q", 2)
    rates = counter.of(ACCOUNT, "q")
    assert (rates.until, len(rates.pushed), rates.pushed[:2]) == (1_003_590.0, 359, [5, 7])
    clock.now += 10
    rates = counter.of(ACCOUNT, "q")
    assert (len(rates.pushed), rates.pushed[0], rates.failed[0]) == (359, 7, 1)
    assert rates.removed[-1] == 2
    clock.now += 10_000
    assert counter.of(ACCOUNT, "q").pushed == []


def test_queues_without_messages_for_an_hour_are_forgotten() -> None:
    """Also those that were deleted; another account's queue of the same name is another one."""
    clock = Clock()
    counter = QueueRateCounter(clock)
    for name in ("old", "deleted"):
        counter.pushed(ACCOUNT, name, 1)
    counter.forget(ACCOUNT, "deleted")
    clock.now += 4000
    counter.pushed(ACCOUNT, "new", 1)
    clock.now += 10

    assert list(counter._queues) == [(ACCOUNT, "new")]
    assert counter.of("a0000002", "new").pushed == []
