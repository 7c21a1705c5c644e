"""Jids as users hand them over."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudException, CloudTypeError
from cloud._arguments.jids import portions, read_jids, without
from hypothesis import given
from hypothesis import strategies as st
from picloud_model import ranges


class Index:
    """An integer of another library."""

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize("jids", [7, Index()])
def test_one_jid_is_single(jids: Any) -> None:
    """A whole number of whatever type names one job."""
    jid_list = read_jids(jids)

    assert jid_list.single
    assert list(jid_list.order) == [7]


@pytest.mark.parametrize(
    ("jids", "order"),
    [
        ([3, 1, 2], [3, 1, 2]),
        ((1, 2), [1, 2]),
        (range(4, 7), [4, 5, 6]),
        (range(6, 3, -1), [6, 5, 4]),
        ({5}, [5]),
        ((jid for jid in (2, 2)), [2, 2]),
        ([], []),
        (range(0), []),
        ([Index()], [7]),
    ],
)
def test_any_iterable_names_jobs_in_its_order(jids: Any, order: list[int]) -> None:
    """Lists, tuples, ranges, sets and generators are taken as they come."""
    jid_list = read_jids(jids)

    assert not jid_list.single
    assert list(jid_list.order) == order


def test_a_dense_list_takes_no_memory() -> None:
    """Jids that count up are kept as a range."""
    assert read_jids(list(range(5, 100_005))).order == range(5, 100_005)


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        "7",
        b"7",
        bytearray(b"7"),
        1.0,
        None,
        0,
        -1,
        2**53,
        [1, "2"],
        [True],
        [0],
        [None],
        [["1"]],
        [[[1]]],
        [range(3)],
        range(3),
        range(2**53, 2**53 + 2),
        object(),
    ],
)
def test_what_is_no_jid_is_refused(wrong: Any) -> None:
    """A bool, text, fraction or a number below 1 is an error that says what jids are."""
    with pytest.raises(CloudException, match="whole numbers from 1"):
        read_jids(wrong)


jid_sets = st.sets(st.integers(1, 60))


@given(jid_sets, jid_sets)
def test_without_is_the_difference_of_sets(held: set[int], gone: set[int]) -> None:
    """Removing jids from ranges leaves the ranges of the other jids."""
    remaining = without(ranges.collapse(held), gone)

    assert remaining == ranges.collapse(held - gone)


class ReadRanges(list[tuple[int, int]]):
    """Ranges that count how often one is read."""

    reads = 0

    def __getitem__(self, index: Any) -> Any:
        """Return a range, or some, which counts as one read."""
        self.reads += 1
        return super().__getitem__(index)

    def __iter__(self) -> Any:
        """Return all, which are as many reads."""
        self.reads += len(self)
        return super().__iter__()


@pytest.mark.parametrize("gone", [[50_001], [1, 100_001]])
def test_to_remove_a_jid_is_a_search(gone: list[int]) -> None:
    """Jobs that end one by one are removed from as many ranges as there are gaps."""
    spans = ReadRanges((jid, jid) for jid in range(1, 100_002, 2))

    remaining = without(spans, gone)

    assert len(remaining) == 50_001 - len(gone)
    assert spans.reads <= 40 * len(gone) + 3


@given(jid_sets, st.integers(1, 9), st.integers(1, 4))
def test_portions_keep_every_jid_in_order(held: set[int], most_jobs: int, most_ranges: int) -> None:
    """No portion is larger than allowed, and together they are what was jid_list."""
    cut = list(portions(ranges.collapse(held), most_jobs, most_ranges))

    assert [jid for portion in cut for jid in ranges.expand(portion)] == sorted(held)
    assert all(ranges.count(portion) <= most_jobs for portion in cut)
    assert all(len(portion) <= most_ranges for portion in cut)


@pytest.mark.parametrize("nested", [[[range(1, 3)]], [[[7]]], [{1}, [(2,)]]])
def test_jids_that_are_nested_too_deep_are_named(nested: Any) -> None:
    """The message says what to do."""
    with pytest.raises(CloudTypeError, match=r"is nested too deep: flatten it, as in \[\*a, \*b\]"):
        read_jids(nested)
