"""Calls of published functions: columns are calls, and calls are divided into requests."""

from __future__ import annotations

from typing import Any

import pytest
from cloud._endpoints.calls import mapped_calls, requests_of
from cloud.errors import CloudException, CloudTypeError


def test_the_nth_call_has_the_nth_value_of_each() -> None:
    """Values come from any iterable."""
    assert mapped_calls({"x": range(2), "y": iter("ab")}) == [
        {"x": 0, "y": "a"},
        {"x": 1, "y": "b"},
    ]
    assert mapped_calls({"x": []}) == []


@pytest.mark.parametrize(
    ("columns", "error", "reason"),
    [
        ({}, CloudException, "needs arguments to map"),
        ({"x": [1], "y": [1, 2]}, CloudException, "as many values as the others"),
        ({"x": 5}, CloudTypeError, "values of 'x' must be an iterable"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    columns: dict[str, Any], error: type[Exception], reason: str
) -> None:
    """The error says what is expected."""
    with pytest.raises(error, match=reason):
        mapped_calls(columns)


def test_large_calls_are_divided() -> None:
    """No request is larger than a server takes; a single call is never divided."""
    small, large = {"x": 1}, {"x": "a" * 60_000}

    assert [len(each) for each in requests_of([small] * 2001)] == [1000, 1000, 1]
    assert [len(each) for each in requests_of([large, large, small])] == [1, 2]
    assert list(requests_of([{}])) == [[{}]]


@pytest.mark.parametrize("value", [object(), complex(1), 2**70, "\ud800"])
def test_other_objects_are_refused(value: Any) -> None:
    """The error says what to use instead."""
    with pytest.raises(CloudTypeError, match=r"use cloud\.call"):
        list(requests_of([{"x": value}]))
