"""`cloud.estimate`: a sample that is spread over the items, and what it says of all of them."""

from __future__ import annotations

import cloud
import pytest
from cloud import CloudException, CloudTypeError
from cloud._costs.estimate import Estimate, spread
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10_000), st.integers(1, 50))
def test_a_sample_has_the_first_and_the_last_item(count: int, size: int) -> None:
    """Its positions are different ones, and there are as many as were requested, if possible."""
    at = spread(count, size)

    assert len(at) == len(set(at)) == min(count, size)
    assert at == sorted(at)
    assert at[0] == 0
    assert at[-1] == (count - 1 if size > 1 else 0)


def test_the_text_says_what_is_unknown() -> None:
    """The cost on a core type without a price."""
    estimate = Estimate(
        jobs=1000, sample=range(5, 8), runtime=0.5, shortest=0.25, longest=0.75, cost=None,
        least_cost=None, most_cost=None, slots=2, duration=250.0,
    )  # fmt: skip

    assert repr(estimate) == (
        "1,000 jobs: no price, 250 s on 2 slots; a job took 0.5 s (0.25 to 0.75) in a sample of 3"
    )


def test_the_text_has_amounts_and_times_that_mean_something() -> None:
    """Also those of short jobs."""
    estimate = Estimate(
        jobs=1000, sample=range(5, 8), runtime=0.000117, shortest=0.0001, longest=0.0002,
        cost=0.0000065, least_cost=0.0000055, most_cost=0.000011, slots=1, duration=0.117, left=3.5,
    )  # fmt: skip

    assert repr(estimate) == (
        "1,000 jobs: $0.0000065 ($0.0000055 to $0.000011), 0.117 s on 1 slot; a job took "
        "0.000117 s (0.0001 to 0.0002) in a sample of 3; $3.50 of a budget is left"
    )


@pytest.mark.parametrize("sample", [0, -1, 1.5, "3", None])
def test_the_size_of_a_sample_is_a_whole_number(sample: object) -> None:
    """Before any request."""
    with pytest.raises(CloudException, match="_sample must be a whole number from 1"):
        cloud.estimate(abs, [1], _sample=sample)


@pytest.mark.parametrize("items", [[], (), iter(()), range(0)])
def test_nothing_cannot_be_estimated(items: object) -> None:
    """Before any request."""
    with pytest.raises(CloudException, match="There is nothing to estimate"):
        cloud.estimate(abs, items)


def test_what_is_no_iterable_is_named() -> None:
    """With the function that was called, and what to pass."""
    for arguments, message in (
        ((), "^estimate needs a function and at least one iterable of arguments"),
        ((5,), "^Argument 1 of estimate must be an iterable, not 5; pass a list"),
        ((abs,), r"of estimate is a function: .* as in cloud\.estimate\(function, items\)"),
    ):
        with pytest.raises(CloudTypeError, match=message):
            cloud.estimate(abs, *arguments)
