"""Profile tables: functions by their time."""

from __future__ import annotations

from picloud_api.web.drawings.profile_table import MOST_ROWS, ORDERS, profile_table

from tests.unit.api.job_info import profiled

CALLS = [
    profiled("", "main", 1, 0.1, 3.0),
    profiled("main", "once", 1, 1.9, 2.0),
    profiled("main", "often", 90, 0.4, 0.5),
    profiled("once", "often", 10, 0.1, 0.1),
    profiled("often", "often", 5, 0.1, 0.3),
]


def test_a_function_is_added_up_over_its_callers() -> None:
    """Its calls of itself count as calls, and not twice as time."""
    (often,) = (each for each in profile_table(CALLS, "own") if each.name == "often")

    assert (often.calls, round(often.own_s, 3), round(often.total_s, 3)) == (105, 0.6, 0.6)


def test_a_table_is_sorted_in_each_order() -> None:
    """The largest is first, and there is a bound."""
    names = {order: [each.name for each in profile_table(CALLS, order)] for order in ORDERS}

    assert names == {
        "total": ["main", "once", "often"],
        "own": ["once", "often", "main"],
        "calls": ["often", "main", "once"],
    }
    many = [profiled("", f"f{number}", 1, 0.1, 0.1) for number in range(MOST_ROWS + 1)]
    assert len(profile_table(many, "own")) == MOST_ROWS
