"""Results: pickled, or refused with what and where."""

from __future__ import annotations

import io
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from picloud_model.job import Cause
from picloud_worker.child.results import pickled
from picloud_worker.failure import RefusedError, describe


class Mute(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no str")


class Stubborn:
    """Refuses to be pickled, by an exception that cannot be shown."""

    def __reduce__(self) -> Any:
        raise Mute


class Holder:
    """Has a part that cannot be pickled."""

    def __init__(self) -> None:
        self.parts = (1, threading.Lock())


def test_fast_serialization_selects_the_pickler() -> None:
    """0 and 1 pickle what plain pickle cannot, only 0 names the culprit, 2 is plain pickle."""
    unpicklable = {"a": [(i for i in ())]}

    assert pickle.loads(pickled(lambda: 5, 0))() == 5
    assert pickle.loads(pickled(lambda: 5, 1))() == 5
    with pytest.raises(RefusedError, match=r"the result cannot be pickled: .*lambda"):
        pickled(lambda: 5, 2)
    assert pickle.loads(pickled(Path("x"), 2)) == Path("x")
    with pytest.raises(RefusedError, match=r"result\['a'\]\[0\] in the result cannot be pickled"):
        pickled(unpicklable, 0)
    with pytest.raises(RefusedError, match="the result cannot be pickled: TypeError"):
        pickled(unpicklable, 1)


@pytest.mark.parametrize("value", [None, True, 2**200, -0.5, "é\ud800", b"x", {"a": [1]}, int])
def test_values_come_back(value: Any) -> None:
    """Whatever way they took."""
    assert pickle.loads(pickled(value)) == value


def test_functions_travel_by_value() -> None:
    """What only cloudpickle can write is written by it."""
    assert pickle.loads(pickled(lambda: 5))() == 5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            (n for n in "ab"),
            "the result is a generator, which cannot be pickled: return a list of its items, or",
        ),
        (threading.Lock(), "the result cannot be pickled: TypeError: cannot pickle"),
        (
            {"a": [1, threading.Lock()]},
            "result['a'][1] in the result cannot be pickled: TypeError: cannot pickle",
        ),
        ([Holder()], "result[0].parts[1] in the result cannot be pickled: TypeError"),
        (
            [io.TextIOWrapper(io.BufferedWriter(io.FileIO(os.devnull, "w")))],
            "result[0] in the result is a file open for writing; open it for reading only",
        ),
        (Stubborn(), "the result cannot be pickled: Mute: <its text failed: RuntimeError>"),
    ],
)
def test_what_cannot_be_pickled_is_named(value: Any, message: str) -> None:
    """The refusal says what and where, whatever pickling raises."""
    with pytest.raises(RefusedError) as caught:
        pickled(value)

    assert caught.value.cause == Cause.PAYLOAD
    assert caught.value.message.startswith(message)
    assert "cloudpickle" not in describe(caught.value).traceback


def test_a_deep_result_is_refused() -> None:
    """One that exhausts the stack does no harm to the child."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(RefusedError, match="it is nested too deeply"):
        pickled(deep)


def test_results_too_large_are_refused() -> None:
    """The refusal names the size and the limit."""
    with pytest.raises(RefusedError, match="is 2,018 bytes pickled, and the limit") as caught:
        pickled(b"x" * 2000, most_bytes=1000)

    assert caught.value.cause == Cause.PAYLOAD
