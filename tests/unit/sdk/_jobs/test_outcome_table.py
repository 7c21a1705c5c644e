"""The outcomes of the jobs that a call waits for."""

from __future__ import annotations

from cloud import CloudException
from cloud._jobs.outcome_table import OutcomeTable
from hypothesis import given
from hypothesis import strategies as st


@given(st.permutations(range(1, 9)))
def test_values_have_the_order_of_the_jids(order: list[int]) -> None:
    """In whatever order jobs end."""
    table = OutcomeTable(order)

    for jid in range(1, 9):
        table.add_result(jid, f"r{jid}")
        table.close([jid])

    assert table.values == [f"r{jid}" for jid in order]
    assert table.open == []
    assert table.ended == 8


def test_the_first_failure_is_known_once_all_before_it_have_ended() -> None:
    """A later failure does not replace it, an earlier one does."""
    table = OutcomeTable(range(1, 5))
    errors = {jid: CloudException("no", jid) for jid in range(1, 5)}

    table.add_failure(3, lambda: errors[3])
    table.add_failure(4, lambda: errors[4])
    assert table.failure() is None
    table.add_failure(2, lambda: errors[2])
    table.add_result(1, None)

    assert table.failure() is errors[2]


def test_errors_that_are_never_raised_are_not_made() -> None:
    """Making an error may mean to unpickle an exception."""
    table = OutcomeTable(range(1, 3))
    made: list[int] = []

    def make(jid: int) -> CloudException:
        made.append(jid)
        return CloudException("no", jid)

    table.add_failure(1, lambda: make(1))
    table.add_failure(2, lambda: make(2))

    assert made == [1]
