"""Statements: what an account has to pay for its months, after free core hours and grants.

Clients add them up from the usage of days, and so does the server for its pages.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from picloud_model.wire.grant import Grant
from picloud_model.wire.usage import money

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_model.wire.grant import FreeHours
    from picloud_model.wire.usage import JobUsageRow

_MS_PER_HOUR: Final = 3_600_000


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What the jobs of a month have used, and who pays for it, in dollars.

    `used` is what they cost by the prices: the sum of `free`, `granted` and `to_pay`.
    """

    month: str
    used: float
    free: float
    granted: float
    to_pay: float


class GrantBalance(msgspec.Struct, frozen=True):
    """A grant, and how many dollars or core hours are left of it."""

    grant: Grant
    left: float

    @property
    def words(self) -> str:
        """How much is left, as a sentence."""
        grant = self.grant
        note = f" ({grant.note})" if grant.note else ""
        left = f"{self.left:,.4f}" if grant.dollars is None else money(self.left)
        return f"Grant {grant.id}{note}: {left} of {grant.amount} is left until {grant.until}."


class Statements(msgspec.Struct, frozen=True):
    """The statements of some months in their order, and what is left of each grant then."""

    months: list[Statement]
    grants: list[GrantBalance]


def day_of(moment: float) -> str:
    """Return the day in UTC of a moment, in seconds since 1970.

    >>> day_of(0.0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def month_of(day: str) -> str:
    """Return the month of a day.

    >>> month_of("2026-11-30")
    '2026-11'
    """
    return day[:7]


def first_day(month: str, grants: Iterable[Grant]) -> str:
    """Return the day from which usage has to be known for the statements from a month on.

    A grant may have been used before that month, and free core hours are for whole months.

    >>> first_day("2026-11", [])
    '2026-11-01'
    """
    day, found = "", f"{month}-01"
    while day != found:
        day = found
        begun = [grant.since for grant in grants if grant.until >= day]
        found = f"{month_of(min([day, *begun]))}-01"
    return day


def known_since(month: str, grants: Iterable[Grant]) -> float:
    """Return the moment at which the day of `first_day` begins, in seconds since 1970.

    >>> known_since("1970-02", [])
    2678400.0
    """
    return datetime.fromisoformat(first_day(month, grants)).replace(tzinfo=UTC).timestamp()


def free_in(month: str, core_type: str, free: Sequence[FreeHours]) -> float:
    """Return how many core hours of a type are free in a month: the most that applied in it.

    Args:
        month: The month.
        core_type: The core type.
        free: What was free from which day on, the oldest first.
    """
    before = [each for each in free if each.since < f"{month}-01"][-1:]
    within = [each for each in free if month_of(each.since) == month]
    return max((each.core_hours.get(core_type, 0.0) for each in [*before, *within]), default=0.0)


def statements(
    rows: Iterable[JobUsageRow], grants: Sequence[Grant], free: Sequence[FreeHours]
) -> Statements:
    """Return the statements of the months of some usage.

    Of each day, the free core hours of the month are used first, then the grants, those that end
    first before others. What costs most is paid for first by them. Nothing is rounded before the
    sums.

    Args:
        rows: The usage by days.
        grants: The grants of the account.
        free: Free core hours, the oldest first.
    """
    accounts = _Accounts(grants, free)
    for row in sorted(rows, key=_order):
        accounts.add(row)
    return accounts.statements()


def _order(row: JobUsageRow) -> tuple[str, float, str]:
    return row.group, -(row.dollars_per_hour or 0.0), row.core_type


class _Month:
    """The sums of one month, exactly."""

    def __init__(self) -> None:
        self.used = self.free = self.granted = Fraction()


class _Accounts:
    """What is left of everything, while the days are added up in their order."""

    def __init__(self, grants: Sequence[Grant], free: Sequence[FreeHours]) -> None:
        self._grants = sorted(grants, key=lambda grant: (grant.until, grant.id))
        self._left = {
            each.id: Fraction(str(each.core_hours if each.dollars is None else each.dollars))
            for each in grants
        }
        self._free = free
        self._free_left: dict[tuple[str, str], Fraction] = {}
        self._months: dict[str, _Month] = {}

    def add(self, row: JobUsageRow) -> None:
        """Add the usage of a core type at a price on a day."""
        month = self._months.setdefault(month_of(row.group), _Month())
        price = Fraction(str(row.dollars_per_hour or 0))
        hours = Fraction(row.core_ms, _MS_PER_HOUR)
        month.used += price * hours
        if not price:
            return
        free = self._use_free(row, hours)
        month.free += price * free
        hours -= free
        for grant in self._grants:
            if grant.since <= row.group <= grant.until:
                granted = self._use(grant, row.core_type, price, hours)
                month.granted += price * granted
                hours -= granted

    def _use_free(self, row: JobUsageRow, hours: Fraction) -> Fraction:
        """Return how many core hours are free."""
        month = month_of(row.group)
        key = (month, row.core_type)
        if key not in self._free_left:
            self._free_left[key] = Fraction(str(free_in(month, row.core_type, self._free)))
        used = min(hours, self._free_left[key])
        self._free_left[key] -= used
        return used

    def _use(self, grant: Grant, core_type: str, price: Fraction, hours: Fraction) -> Fraction:
        """Return how many core hours a grant pays for."""
        if grant.dollars is None and grant.core_type not in (None, core_type):
            return Fraction()
        rate = Fraction(1) if grant.dollars is None else price
        used = min(hours, self._left[grant.id] / rate)
        self._left[grant.id] -= used * rate
        return used

    def statements(self) -> Statements:
        """Return what has been added up."""
        months = [
            Statement(
                month=name,
                used=float(each.used),
                free=float(each.free),
                granted=float(each.granted),
                to_pay=float(each.used - each.free - each.granted),
            )
            for name, each in sorted(self._months.items())
        ]
        balances = [GrantBalance(each, float(self._left[each.id])) for each in self._grants]
        return Statements(months, balances)
