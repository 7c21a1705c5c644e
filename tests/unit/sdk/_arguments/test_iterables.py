"""Iterables of a map that never end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from cloud import CloudException
from cloud._arguments.iterables import MOST_BEYOND, check_ends, most_items, too_many


@pytest.mark.parametrize(
    "endless",
    [itertools.repeat(5), itertools.count(), itertools.count(1, 0.5), itertools.cycle("ab")],
)
def test_an_endless_iterable_is_refused_at_once(endless: Any) -> None:
    """It is named by its position, with what to do about it."""
    with pytest.raises(CloudException) as refused:
        check_ends([[1, 2], endless])

    assert str(refused.value).startswith(
        f"Argument 2 of map is endless, a {type(endless).__name__}"
    )
    assert "keyword argument" in str(refused.value)


def test_iterables_that_end_are_taken() -> None:
    """Also an iterator that repeats a number of times."""
    check_ends([itertools.repeat(5, 3), [1], range(3), iter("ab"), (x for x in "ab"), {}])


def test_an_iterator_may_go_on_for_a_while() -> None:
    """An iterator counts as endless far beyond the longest of the others."""
    forever = iter(lambda: 1, 2)
    lists = [[1, 2, 3], forever, [1]]

    assert most_items(lists, 10**7) == 3 + MOST_BEYOND
    assert most_items([forever], 10**7) == 10**7
    assert most_items([[1], [2, 3]], 10**7) == 10**7
    assert str(too_many(lists, 100_003, 10**7)).startswith(
        "Argument 2 of map has more than 100,003 items"
    )
    assert "at most" in str(too_many(lists, 10**7, 10**7))
