"""Plain pickles: what is written is what `pickle` reads."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from picloud_api.usecases.rest.arguments.plain_pickle import call_pickle
from picloud_model.errors import ArgumentRefused
from picloud_model.plain_value import MAX_DEPTH, plain_value

VALUES = [
    None, True, False, 0, -1, 255, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**64, -(2**2000), 1.5,
    float("inf"), "", "é\U0001f600\ud800", "x" * 70_000, b"", b"\x00\xff", [], {}, [[], [1, [2]]],
    {"a": {"b": [None]}, "": 1}, {1: 2, 1.5: 3},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_arrives_as_it_was(value: Any) -> None:
    """The arguments are given by name, and there are none by position."""
    pickled = call_pickle({"x": value})

    assert pickle.loads(pickled) == ((), {"x": value})
    assert repr(pickle.loads(pickled)[1]["x"]) == repr(value)


def test_the_server_reads_what_it_wrote() -> None:
    """So `cloud.info` and `/job/` show the arguments of a call."""
    assert plain_value(call_pickle({"x": [1, "a", b"b"]})) == ((), {"x": [1, "a", b"b"]})


def nested(depth: int) -> Any:
    """Return a list in lists."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (nested(MAX_DEPTH), "nested more than 100 deep"),
        (datetime(2026, 1, 1, tzinfo=UTC), "one has a datetime"),
        ({None: 1}, "must be text"),
        ({1, 2}, "one has a set"),
    ],
)
def test_other_values_are_refused(value: Any, reason: str) -> None:
    """The reason names the type."""
    with pytest.raises(ArgumentRefused, match=reason):
        call_pickle({"x": value})
