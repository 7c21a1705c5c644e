"""Schedules of cron jobs: five fields, read by cronsim, and the time zone they are in."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError
from picloud_model.errors import RequestRefused, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire.cron import CronSchedule

NAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_SAID: Final = {each.replace(" of the ", "-of-"): each for each in _FIELDS}
"""The fields as cronsim calls them in its errors."""
_COUNTED: Final = 1000
"""How many missed runs are counted one by one."""


class DueTimes(msgspec.Struct, frozen=True):
    """The times from one due time until now: the last of them, how many, and the next one."""

    last: float
    count: int
    next: float


class Schedule:
    """The times at which a cron job is due, in seconds since the epoch.

    Args:
        text: Minute, hour, day of the month, month and day of the week, or a name as `@daily`.
        timezone: The time zone that these are in, as `Europe/Berlin`.

    Raises:
        RequestRefused: When it cannot be read, or is never due.

    >>> Schedule("*/15 * * * *", "UTC").after(0.0)
    900.0
    """

    def __init__(self, text: str, timezone: str) -> None:
        self._fields = NAMES.get(text.strip().lower(), text)
        try:
            self._zone = ZoneInfo(timezone)
        except (KeyError, OSError, ValueError):  # unknown ones, a directory, other texts
            raise _no_zone(timezone) from None
        if len(self._fields.split()) != len(_FIELDS):
            near = nearest_name(text.strip().lower(), NAMES)
            raise RequestRefused(
                f"The schedule {text!r} must have five fields ({', '.join(_FIELDS)}), or be one of "
                f"{', '.join(NAMES)}{f'; did you mean {near}?' if near else '.'}",
                field="schedule",
            )
        try:
            self.after(datetime.now(UTC).timestamp())
        except CronSimError as error:
            raise RequestRefused(
                f"The schedule {text!r} cannot be used: {_reason(error)}.", field="schedule"
            ) from None
        except StopIteration:
            raise RequestRefused(
                f"The schedule {text!r} is never due: there is no such day.", field="schedule"
            ) from None

    def after(self, at: float) -> float:
        """Return the first time after another."""
        return next(self._times(at))

    def following(self, at: float, count: int) -> list[float]:
        """Return the next times after another."""
        times = self._times(at)
        return [next(times) for _ in range(count)]

    def due(self, first: float, now: float) -> DueTimes:
        """Return what was due from one due time until now; many are counted up to a thousand."""
        count, last = 0, first
        for at in self._times(first - 1):
            if at > now:
                return DueTimes(last, count, at)
            count, last = count + 1, at
            if count == _COUNTED:
                break
        last = next(self._times(now + 1, back=True))
        return DueTimes(last, count, self.after(now))

    def _times(self, at: float, *, back: bool = False) -> Iterator[float]:
        moment = datetime.fromtimestamp(at, self._zone)
        for time in CronSim(self._fields, moment, reverse=back):
            yield time.timestamp()


@lru_cache(maxsize=1000)
def times_of(schedule: CronSchedule) -> Schedule:
    """Return the times of a schedule as it is registered.

    Raises:
        RequestRefused: As for `Schedule`.
    """
    return Schedule(schedule.schedule, schedule.timezone)


@lru_cache(maxsize=100)
def due_times(schedule: CronSchedule, first: float, now: float) -> DueTimes:
    """Return `Schedule.due`; it is computed once for all cron jobs that are due at the same time.

    >>> from picloud_model.wire.cron import CronSchedule
    >>> due_times(CronSchedule(schedule="@hourly"), 3600.0, 7300.0)
    DueTimes(last=7200.0, count=2, next=10800.0)
    """
    return times_of(schedule).due(first, now)


@lru_cache(maxsize=1000)
def next_times(schedule: CronSchedule, at: float, count: int) -> list[float]:
    """Return `Schedule.following`; it is computed once for cron jobs that are listed together.

    >>> from picloud_model.wire.cron import CronSchedule
    >>> next_times(CronSchedule(schedule="@hourly"), 3600.0, 2)
    [7200.0, 10800.0]
    """
    return times_of(schedule).following(at, count)


def _no_zone(name: str) -> RequestRefused:
    message = f"There is no time zone {name!r}; name one as UTC, Europe/Berlin or America/New_York."
    return RequestRefused(message, field="timezone")


def _reason(error: CronSimError) -> str:
    """Return what is wrong with a schedule.

    >>> _reason(CronSimError("Bad hour"))
    'its hour is not valid'
    """
    field = str(error).removeprefix("Bad ")
    reason = f"its {_SAID.get(field, field)} is not valid"
    return f"{reason}, or its month has no such day" if field == "day-of-month" else reason
