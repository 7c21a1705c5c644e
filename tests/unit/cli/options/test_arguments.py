"""Reading jids, assignments and lists of values."""

from __future__ import annotations

import pytest
import typer
from picloud.options import arguments


def test_jids_keep_their_order() -> None:
    """A single range stays a range, which takes no memory."""
    assert arguments.jids("1-1000000") == range(1, 1_000_001)
    assert list(arguments.jids("9,2-4")) == [9, 2, 3, 4]
    assert list(arguments.jids("9", "2-4")) == [9, 2, 3, 4]


@pytest.mark.parametrize("text", ["", "x", "2-1", "0", "1-9999999999"])
def test_malformed_jids_are_a_usage_error(text: str) -> None:
    """The message names the option."""
    with pytest.raises(typer.BadParameter) as refused:
        arguments.jids(text, param_hint="--depends-on")

    assert refused.value.param_hint == "--depends-on"


@pytest.mark.parametrize("texts", [["a"], ["1=x"], ["a=1", "a=2"], ["=x"]])
def test_a_malformed_assignment_is_a_usage_error(texts: list[str]) -> None:
    """So is a name that occurs twice."""
    with pytest.raises(typer.BadParameter):
        arguments.assignments(texts, "-d")


def test_a_list_may_have_empty_values() -> None:
    """An empty text is one empty value."""
    assert arguments.values("a", "", "-n") == [""]
    assert arguments.values("a", "x,,", "-n") == ["x", "", ""]
