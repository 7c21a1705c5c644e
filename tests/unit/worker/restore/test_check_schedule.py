"""After which jobs a process is compared with what it was."""

from __future__ import annotations

from picloud_worker.restore.check_schedule import CLEAN_CHECKS, INTERVAL_S, CheckSchedule


def trusted(function: str) -> CheckSchedule:
    """A schedule for which a function's jobs have left nothing so far."""
    schedule = CheckSchedule()
    for _ in range(CLEAN_CHECKS):
        assert schedule.is_due(function, 1.0)
        schedule.checked(function, 1.0, found=False)
    return schedule


def test_the_first_jobs_of_a_function_are_all_compared() -> None:
    """Only then some are left out, of quick ones."""
    schedule = trusted("f")

    assert not schedule.is_due("f", 1.0 + INTERVAL_S / 2)
    assert schedule.is_due("f", 1.0 + INTERVAL_S)


def test_a_function_is_trusted_once_its_jobs_have_left_nothing_for_a_while() -> None:
    """Then the comparison after its last job may wait until that job was reported."""
    schedule = CheckSchedule()
    schedule.checked("f", 1.0, found=False)

    assert not schedule.is_trusted("f")
    assert trusted("f").is_trusted("f")
    assert not trusted("f").is_trusted("g")


def test_a_function_that_left_something_is_never_trusted_again() -> None:
    """One job was enough: each one after it is compared."""
    schedule = trusted("f")

    schedule.checked("f", 2.0, found=True)
    for _ in range(2 * CLEAN_CHECKS):
        schedule.checked("f", 2.0, found=False)

    assert schedule.is_due("f", 2.0)


def test_another_function_is_compared_at_once() -> None:
    """Trust in one function says nothing about another."""
    schedule = trusted("f")

    assert schedule.is_due("g", 1.0)
    schedule.checked("g", 1.0, found=False)
    assert schedule.is_due("f", 1.0)


def test_a_clock_that_is_set_back_is_no_reason_to_trust() -> None:
    """Otherwise nothing would be compared for as long as it was set back."""
    assert trusted("f").is_due("f", 0.5)
