"""Ranges of jids: written, parsed, merged and counted."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.errors import RequestRefused
from picloud_model.ranges import MAX_JID, check, collapse, count, expand, merged, parse

JIDS = st.lists(st.integers(1, 60))


@given(JIDS)
def test_collapsed_ranges_hold_the_same_jids(jids: list[int]) -> None:
    """Each once, ascending, in ranges that do not touch."""
    ranges = collapse(jids)

    assert list(expand(ranges)) == sorted(set(jids))
    assert count(ranges) == len(set(jids))
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(ranges))


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))))
def test_merged_ranges_hold_the_same_jids(spans: list[tuple[int, int]]) -> None:
    """Overlapping and touching ranges become one."""
    ranges = [(first, first + more) for first, more in spans]

    assert merged(ranges) == collapse(expand(ranges))


@given(JIDS.filter(bool))
def test_what_is_printed_can_be_parsed(jids: list[int]) -> None:
    """The command line reads the form in which it prints jids."""
    ranges = collapse(jids)
    text = ",".join(f"{first}-{last}" if first < last else f"{first}" for first, last in ranges)

    assert parse(text) == ranges


@pytest.mark.parametrize(
    "text", ["", ",", "1,", "a", "0", "-1", "3-2", "1-", "1--2", "1.5", "\u0661", f"{MAX_JID + 1}"]
)
def test_what_is_no_jid_is_refused(text: str) -> None:
    """The message says how to write jids, or that they are out of bounds."""
    with pytest.raises(RequestRefused) as raised:
        parse(text)

    assert raised.value.field == "jids"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "0 is not a valid job id: the first job of an account is 1."),
        ("0-3", "0 is not a valid job id: the first job of an account is 1."),
        ("5-3", "5-3 is not a valid range of job ids: write the lower one first."),
        (f"1-{MAX_JID + 1}", f"{MAX_JID + 1} is not a valid job id: the largest is {MAX_JID:,}."),
    ],
)
def test_what_is_wrong_with_a_range_is_said(text: str, message: str) -> None:
    """A single jid is not called a range."""
    with pytest.raises(RequestRefused) as raised:
        parse(text)

    assert raised.value.message == message


def test_jids_stay_exact_in_json() -> None:
    """The largest is the largest integer that JavaScript represents exactly."""
    check(1, MAX_JID)
    with pytest.raises(RequestRefused):
        check(1, MAX_JID + 1)
