"""Statements: what is used is what is free, granted and to be paid, exactly."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from picloud_model.wire.grant import FreeHours, Grant
from picloud_model.wire.statement import first_day, free_in, statements
from picloud_model.wire.usage import JobUsageRow, dollars

HOUR = 3_600_000
FREE = [FreeHours("1970-01-01", {"c1": 20.0})]
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(str)


def _row(day: str, hours: float, price: float | None = 1.0, core_type: str = "c1") -> JobUsageRow:
    return JobUsageRow(
        group=day,
        core_type=core_type,
        dollars_per_hour=price,
        jobs=1,
        runtime_ms=round(hours * HOUR),
        core_ms=round(hours * HOUR),
    )


def _grant(number: int, since: str, until: str, **amount: object) -> Grant:
    return Grant(id=number, since=since, until=until, **amount)  # type: ignore[arg-type]


@given(
    st.lists(
        st.builds(
            _row,
            DAYS,
            st.floats(0, 1000),
            st.sampled_from([None, 0.0, 0.04, 0.22]),
            st.sampled_from(["c1", "f2"]),
        )
    ),
    st.lists(
        st.tuples(
            DAYS,
            DAYS,
            st.sampled_from(["dollars", "core_hours"]),
            st.floats(0.01, 500),
            st.sampled_from([None, "c1"]),
        )
    ),
)
def test_used_is_free_granted_and_to_pay(
    rows: list[JobUsageRow], grants: list[tuple[str, str, str, float, str | None]]
) -> None:
    """Over any usage and grants; no grant is used for more than it is, or beyond its days."""
    made = [
        _grant(
            number,
            since,
            until,
            core_type=None if kind == "dollars" else core_type,
            **{kind: amount},
        )
        for number, (since, until, kind, amount, core_type) in enumerate(grants, 1)
    ]

    found = statements(rows, made, FREE)

    priced = [(row.dollars_per_hour, row.core_ms) for row in rows if row.dollars_per_hour]
    total = sum(Fraction(each.used) for each in found.months)
    assert abs(total - Fraction(dollars(priced))) < Fraction(1, 10**6)
    for each in found.months:
        assert abs(each.used - each.free - each.granted - each.to_pay) < 1e-6
        assert min(each.free, each.granted, each.to_pay) >= 0
    for balance in found.grants:
        given_ = balance.grant.dollars or balance.grant.core_hours or 0.0
        assert 0 <= balance.left <= given_
        days = [row.group for row in rows]
        if not any(balance.grant.since <= day <= balance.grant.until for day in days):
            assert balance.left == given_


def test_free_hours_come_first_and_are_of_one_month() -> None:
    """What is left of them in one month is not added to the next one."""
    rows = [_row("2026-10-31", 5), _row("2026-11-01", 15), _row("2026-11-02", 15)]

    october, november = statements(rows, [], FREE).months

    assert (october.used, october.free, october.to_pay) == (5.0, 5.0, 0.0)
    assert (november.used, november.free, november.to_pay) == (30.0, 20.0, 10.0)


def test_the_grant_that_ends_first_is_used_first() -> None:
    """Then the next one; what exceeds both is to be paid."""
    late = _grant(1, "2026-11-01", "2027-01-31", dollars=10.0)
    soon = _grant(2, "2026-11-01", "2026-11-30", core_hours=4.0)

    found = statements([_row("2026-11-30", 40)], [late, soon], FREE)

    (month,) = found.months
    assert (month.free, month.granted, month.to_pay) == (20.0, 14.0, 6.0)
    assert [(each.grant.id, each.left) for each in found.grants] == [(2, 0.0), (1, 0.0)]


def test_a_grant_is_for_its_days_and_its_core_type() -> None:
    """Neither the day before nor the day after; one of dollars is for each core type."""
    grant = _grant(1, "2026-11-02", "2026-11-03", core_hours=100.0, core_type="f2")
    rows = [_row(f"2026-11-0{day}", 1, core_type="f2") for day in range(1, 5)]
    rows.append(_row("2026-11-02", 1, core_type="m1"))

    found = statements(rows, [grant], FREE)

    assert (found.months[0].granted, found.months[0].to_pay) == (2.0, 3.0)
    assert found.grants[0].left == 98.0


def test_what_costs_nothing_uses_up_nothing() -> None:
    """Neither jobs without a price nor those with the price 0 take free hours."""
    rows = [_row("2026-11-01", 50, None), _row("2026-11-01", 50, 0.0), _row("2026-11-02", 20)]

    (month,) = statements(rows, [], FREE).months

    assert (month.used, month.free, month.to_pay) == (20.0, 20.0, 0.0)


def test_the_most_that_applied_in_a_month_is_free() -> None:
    """So a list of prices that makes less free takes nothing from a month that has begun."""
    free = [*FREE, FreeHours("2026-11-10", {"c1": 5.0}), FreeHours("2026-12-20", {})]

    months = ("2026-10", "2026-11", "2026-12", "2027-01")

    assert [free_in(month, "c1", free) for month in months] == [20.0, 20.0, 5.0, 0.0]


def test_statements_need_the_usage_since_the_first_grant_that_matters() -> None:
    """A grant may have been used before the month, by then in competition with another one."""
    grants = [
        _grant(1, "2026-01-15", "2026-03-31", dollars=1.0),
        _grant(2, "2026-05-20", "2026-09-30", dollars=1.0),
        _grant(3, "2026-09-15", "2027-01-01", dollars=1.0),
    ]

    assert first_day("2026-11", grants) == "2026-05-01"
    assert first_day("2026-11", []) == "2026-11-01"
