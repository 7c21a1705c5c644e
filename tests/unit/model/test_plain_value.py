"""Plain values: what JSON can hold is read out of a pickle; nothing of the pickle runs."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import math
import pickle
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from picloud_model.info import InfoKey
from picloud_model.plain_value import MAX_BYTES, MAX_DEPTH, NotPlain, plain_value
from picloud_worker.child.results import pickled

REFUSED = object()
KEYS = st.text() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner).filter(lambda each: len({*map(str, each)}) == len(each))
    ),
)


def typed(value: Any) -> Any:
    """Return a value with the type of each of its parts."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(each) for each in value]
    return type(value), repr(value) if isinstance(value, float) else value


def nested(depth: int) -> list[Any]:
    """Return lists within lists."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def doubled(times: int) -> list[Any]:
    """Return a small value that is large when it is written: each list has one list twice."""
    value: list[Any] = ["x"]
    for _ in range(times):
        value = [value, value]
    return value


def within_itself() -> list[Any]:
    """Return a list that has itself as its item."""
    value: list[Any] = []
    value.append(value)
    return value


def tuple_within_itself() -> tuple[Any, ...]:
    """Return a tuple whose list has the tuple as its item."""
    inner: list[Any] = []
    value = (inner, 1)
    inner.append(value)
    return value


@given(PLAIN, st.integers(3, 5))
@example(10**5000, 5)
@example(-(2**2031), 5)
@example([*range(3000)], 5)
@example(dict.fromkeys(range(3000), "x"), 5)
@example("\ud800", 5)
def test_a_plain_value_is_read_as_it_was(value: Any, protocol: int) -> None:
    """Equal, and of the same type in every part."""
    assert typed(plain_value(pickle.dumps(value, protocol))) == typed(value)


@given(PLAIN, st.integers(0, 2))
def test_a_plain_value_is_read_as_a_job_pickles_it(value: Any, fast: int) -> None:
    """The worker's own pickler, with every `_fast_serialization`."""
    assert typed(plain_value(pickled(value, fast))) == typed(value)


def test_what_is_shared_is_read_each_time() -> None:
    """References to what was pickled before lead to equal values."""
    text, row = "a text" * 100, [1, (2, 3)]

    value = [text, text, row, row, {"row": row, text: text}]

    assert plain_value(pickle.dumps(value, 5)) == value


def test_numbers_that_are_not_finite_are_read() -> None:
    """They are floats of Python; code that writes JSON decides about them."""
    first, second = plain_value(pickle.dumps([math.nan, -math.inf], 5))

    assert math.isnan(first)
    assert second == -math.inf


@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5), np.int64(1), np.arange(3), [np.bool_(True)], {1, 2}, frozenset("a"),
        bytearray(b"x"), 1j, Decimal(1), Fraction(1, 2), dt.date(2026, 1, 1),
        collections.OrderedDict(a=1), collections.Counter("a"), InfoKey.STATUS, range(3), len, int,
        Exception("x"), slice(1), ..., [[object()]], {"a": lambda: None},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_values_are_refused(value: Any) -> None:
    """Also those that look like plain ones: a subclass, a number of numpy."""
    data = pickled(value, 0)

    with pytest.raises(NotPlain, match="is a Python object"):
        plain_value(data)


@pytest.mark.parametrize(
    ("value", "predicate"),
    [
        (nested(MAX_DEPTH + 1), "is nested more than 100 deep"),
        (within_itself(), "is nested more than 100 deep"),
        (tuple_within_itself(), "is nested more than 100 deep"),
        (doubled(30), "is larger than 4 MiB"),
        (["x" * 1000, *["y" * 1_000_000] * 5], "is larger than 4 MiB"),
        (["x" * 1_000_000] * 5, "is larger than 4 MiB"),
        ([10**1_000_000] * 20, "is larger than 4 MiB"),
        (b"x" * MAX_BYTES, "is larger than 4 MiB"),
        ([None] * 600_000, "is larger than 4 MiB"),
        ({None: 1}, "has a dict whose keys are not all text or numbers"),
        ({(1, 2): 1}, "has a dict whose keys are not all text or numbers"),
        ({True: 1}, "has a dict whose keys are not all text or numbers"),
        ({2**64: 1}, "has a dict whose keys are not all text or numbers"),
        ({1: "a", "1": "b"}, "has a dict in which a number and a text are the same key"),
    ],
)
def test_what_json_cannot_hold_is_refused(value: Any, predicate: str) -> None:
    """The error says what it is about the value."""
    with pytest.raises(NotPlain) as raised:
        plain_value(pickle.dumps(value, 5))

    assert raised.value.predicate == predicate


def test_the_deepest_and_the_largest_values_are_read() -> None:
    """The limits themselves are allowed."""
    assert plain_value(pickle.dumps(nested(MAX_DEPTH), 5)) == nested(MAX_DEPTH)
    assert len(plain_value(pickle.dumps([None] * 500_000, 5))) == 500_000


@pytest.mark.parametrize(
    "data",
    [
        b"", b".", b"N", b"\x80\x05", b"\x80\x05N", b"\x80\x05.", b"NN.", b"(.", b"((NN.", b"0.",
        b"\x80\x06N.",
        b"1.", b"a.", b"Na.", b"NNa.", b"]Na", b"}NNs.", b"}](u.", b"](Ne", b"](N(e.", b"h\x00.",
        b"\x94.", b"\x85.", b"N\x86.", b"NN\x87.", b"t.", b"K", b"G\0", b"X\xff\xff\xff\x7fa.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.", b"\x8b\xff\xff\xff\xff.", b"\x8c\x01\xff.",
        b"}(K\x01u.", b"(}K\x01s.", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff.", b"I" + b"9" * 5000,
        b"L1L\n.", b"S'\\d'\n.", b"S'a\n.", b"V\\ud800\n.", b"F1e\n.", b"cos\nsystem\n.", b"\xff",
        b"cos\nsystem\n(S'true'\ntR.", b"P0\n.", b"Q.", b"\x82\x01.", b"\x97.", b"\x98.", b"p0\n.",
        b"\x80\x05}(" + b"]K\x00u.", b"]" + b"\x85" * 200_000 + b".", b"(" * 100_000 + b".",
    ],
)  # fmt: skip
def test_bytes_that_are_no_plain_pickle_are_refused(data: bytes) -> None:
    """In one way only, whatever is wrong with them."""
    with pytest.raises(NotPlain):
        plain_value(data)


class Loaded:
    """An object whose unpickling is noticed."""

    count = 0

    def __reduce__(self) -> Any:
        return (_load, ())


def _load() -> None:
    Loaded.count += 1


@given(st.data())
def test_no_bytes_run_or_break_anything(data: st.DataObject) -> None:
    """A changed pickle is refused, or read as unpickling would; it imports and calls nothing."""
    value = data.draw(PLAIN | st.just([1, Loaded(), "x"]) | st.just(Decimal("1.5")))
    changed = bytearray(pickle.dumps(value, data.draw(st.integers(0, 5))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        changed = changed or bytearray(b".")
    before, Loaded.count = {*sys.modules}, 0
    result = REFUSED
    with contextlib.suppress(NotPlain):
        result = plain_value(bytes(changed))

    assert Loaded.count == 0
    # Text of protocol 0 is decoded before it is refused, by codecs that Python loads when needed.
    assert {name for name in {*sys.modules} - before if not name.startswith("encodings.")} == set()
    if result is not REFUSED:
        # The length of a frame is not checked here: a digest protects what is stored.
        with contextlib.suppress(pickle.UnpicklingError, EOFError):
            assert typed(pickle._loads(bytes(changed))) == typed(result)  # type: ignore[attr-defined]


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """No other error than its own leaves the reader."""
    with contextlib.suppress(NotPlain):
        plain_value(data)
