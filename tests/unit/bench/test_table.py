"""The table: medians with their goals, and how many times better than its peers each stack is."""

from __future__ import annotations

import pytest

from bench.table import Report


@pytest.mark.parametrize(
    ("rate", "shown"), [(600.0, "2.00 (>= 1.5)"), (300.0, "1.00 (>= 1.5 MISSED)")]
)
def test_a_row_may_have_a_goal_that_a_peer_sets(rate: float, shown: str) -> None:
    """It is compared with the best peer."""
    requests = {"embedded": [rate], "ray": [300.0], "dask": [100.0]}

    text = Report("a machine", ("embedded", "ray", "dask"), {"requests": requests}, {}).text()

    (line,) = [line for line in text.splitlines() if line.endswith(f"{rate / 100:.2f}")]
    assert shown in line


def test_goals_may_differ_by_stack_and_peer() -> None:
    """A loop of calls is to be twice as fast as Ray's on one stack, and 0.8 times on the other."""
    rates = {"embedded": [300.0], "hashicorp": [150.0], "ray": [200.0], "loky": [400.0]}

    text = Report("a machine", tuple(rates), {"loop": rates}, {}).text()

    embedded, hashicorp = [line for line in text.splitlines() if line.startswith("3,000")][1:]
    assert "1.50 (>= 2 MISSED)" in embedded
    assert "0.75 (>= 0.8 MISSED)" in hashicorp
    assert embedded.endswith("0.75")


def test_a_median_is_shown_with_its_goal() -> None:
    """That of the contender; the ratio to plain calls may be 1.3 at most."""
    ratios = {"embedded": [1.5, 1.4, 1.2], "hashicorp": [1.1]}

    text = Report("a machine", ("embedded", "hashicorp"), {"invoke_calls": ratios}, {}).text()

    assert "1.40 x (<= 1.3 MISSED)" in text
    assert "1.10 x (<= 1.3)" in text
