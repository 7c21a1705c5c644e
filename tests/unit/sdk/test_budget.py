"""`cloud.budget`: what cannot be a budget is refused before any request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import cloud
import pytest
from cloud import CloudException
from cloud.budget import _dollars


@pytest.mark.parametrize(
    ("amount", "dollars"),
    [("$1,000.50", 1000.5), (" 20 ", 20.0), (7, 7.0), (Decimal("0.1"), 0.1), ("0", 0.0)],
)
def test_an_amount_is_a_number_or_a_text(amount: Any, dollars: float) -> None:
    """Of dollars, with or without the sign."""
    assert _dollars(amount) == dollars


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        ("20 EUR", "A budget is in dollars: write 20 or $20, not '20 EUR'."),
        ("\u20ac20", "write 20 or $20"),
        ("much", "write 20 or $20"),
        ("", "write 20 or $20"),
        ("1.2.3", "write 20 or $20"),
        (-5, "from $0 to $1,000,000,000, not -5; 0 stops every job."),
        ("-5", "not '-5'"),
        (float("nan"), "not nan"),
        (float("inf"), "not inf"),
        ("1e30", "not '1e30'"),
        (None, "a number of dollars, not None"),
        (True, "a number of dollars, not True"),
    ],
)
def test_what_is_no_amount_is_refused(amount: Any, message: str) -> None:
    """In one sentence that says what to write."""
    with pytest.raises(CloudException) as refused:
        cloud.budget.set(amount)

    assert message in str(refused.value)


def test_other_arguments_are_checked_too() -> None:
    """The error names those that there are."""
    with pytest.raises(CloudException, match=r'per must be "day", "month" or None'):
        cloud.budget.set(5, per="week")
    with pytest.raises(CloudException, match="one of refuse, kill, warn, not"):
        cloud.budget.set(5, action="stop")
    with pytest.raises(CloudException, match="label must have 1 to 200 characters"):
        cloud.budget.remove(label="")
