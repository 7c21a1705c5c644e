"""The pace of takes."""

from __future__ import annotations

from picloud_driver.queue.pace import Pace


def test_a_long_run_has_no_more_than_the_pace() -> None:
    """However often it is looked at; a pause saves up a tenth of a second's messages."""
    pace, taken = Pace(), 0
    for hundredth in range(1000):
        now = 50.0 + hundredth / 100
        allowed = pace.allowed(30.0, now)
        pace.spend(allowed, 30.0, now)
        taken += allowed

    assert 299 <= taken <= 303
    assert pace.allowed(30.0, 1000.0) == 3


def test_a_pace_that_changes_holds_from_then_on() -> None:
    """What was taken before counts as the time that it took."""
    pace = Pace()
    pace.spend(1, 0.1, 100.0)

    assert (pace.allowed(0.1, 101.0), pace.wait_s(0.1, 101.0)) == (0, 9.0)
    assert pace.allowed(1000.0, 101.0) == 100
