"""Schedules of cron jobs: five fields, names, time zones, what is never due, what was missed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from picloud_api.usecases.crons.schedule import NAMES, DueTimes, Schedule
from picloud_model.errors import RequestRefused

DAY = 24 * 3600.0


def at(text: str, zone: str = "UTC") -> float:
    """Return a time in seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-11-29T12:00:00", "2026-11-29T12:01:00"),
        ("*/20 9-17 * * mon-fri", "2026-11-27T17:40:00", "2026-11-30T09:00:00"),
        ("0 0 29 2 *", "2026-11-29T12:00:00", "2028-02-29T00:00:00"),
        ("0 0 13 * 5", "2026-11-29T12:00:00", "2026-12-04T00:00:00"),
        ("0 12 * jan,jul 7", "2026-11-29T12:00:00", "2027-01-03T12:00:00"),
        ("@daily", "2026-11-29T12:00:00", "2026-11-30T00:00:00"),
        ("@Hourly", "2026-11-29T12:00:00", "2026-11-29T13:00:00"),
    ],
)
def test_the_next_time(schedule: str, after: str, expected: str) -> None:
    """The fields mean what crontab(5) says: a day of either kind is enough."""
    assert Schedule(schedule, "UTC").after(at(after)) == at(expected)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_due(name: str) -> None:
    """Each is due within a year."""
    assert Schedule(name, "UTC").after(0.0) <= 366 * DAY


def test_an_hour_that_the_clock_skips_or_repeats() -> None:
    """A daily run comes once on these days, and is not left out."""
    times = Schedule("30 2 * * *", "Europe/Berlin")
    spring = at("2026-03-28T12:00", "Europe/Berlin")
    autumn = at("2026-10-24T12:00", "Europe/Berlin")

    assert times.following(spring, 2) == [
        at("2026-03-29T03:00", "Europe/Berlin"),
        at("2026-03-30T02:30", "Europe/Berlin"),
    ]
    first, second = times.following(autumn, 2)
    assert first == at("2026-10-25T02:30", "Europe/Berlin")
    assert second - first == 25 * 3600


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("0 0 31 2 *", "day of the month is not valid, or its month has no such day"),
        ("0 22-2 * * *", "its hour is not valid"),
        ("61 * * * *", "its minute is not valid"),
        ("*/0 * * * *", "its minute is not valid"),
        ("0 0 * 13 *", "its month is not valid"),
        ("0 0 * * 8", "its day of the week is not valid"),
        ("0 0 0 * * *", "must have five fields"),
        ("* * * *", "must have five fields"),
        ("@reboot", "must have five fields"),
        ("@dayly", "did you mean @daily"),
        ("", "must have five fields"),
    ],
)
def test_what_cannot_be_used_is_refused(schedule: str, reason: str) -> None:
    """The sentence says what is wrong, also where the line would never run."""
    with pytest.raises(RequestRefused, match=reason) as refused:
        Schedule(schedule, "UTC")

    assert refused.value.field == "schedule"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe", "\0"])
def test_only_time_zones_are_time_zones(zone: str) -> None:
    """Neither a path nor a directory of the time zone database is one."""
    with pytest.raises(RequestRefused, match="no time zone") as refused:
        Schedule("@daily", zone)

    assert refused.value.field == "timezone"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (DAY, DueTimes(DAY, 1, 2 * DAY)),
        (2 * DAY - 1, DueTimes(DAY, 1, 2 * DAY)),
        (4 * DAY + 5, DueTimes(4 * DAY, 4, 5 * DAY)),
        (5000 * DAY, DueTimes(5000 * DAY, 1000, 5001 * DAY)),
    ],
)
def test_what_was_due_since(now: float, expected: DueTimes) -> None:
    """The last one is exact, however many there were."""
    assert Schedule("@daily", "UTC").due(DAY, now) == expected
