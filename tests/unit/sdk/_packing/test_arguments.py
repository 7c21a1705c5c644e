"""Arguments arrive as they were sent."""

from __future__ import annotations

import decimal
import pickle
import threading
from collections import OrderedDict, defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.pack import seal, unseal

PACKER = Packer()
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
VALUES = st.recursive(
    PLAIN | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.frozensets(PLAIN)
    ),
    max_leaves=20,
)


def arrived(*args: Any, **kwargs: Any) -> Any:
    """The pair a child would see."""
    return pickle.loads(unseal(PACKER.arguments(args, kwargs)))


@given(args=st.lists(VALUES).map(tuple), kwargs=st.dictionaries(st.text(min_size=1), VALUES))
def test_any_values_arrive(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Nested plain values arrive equal, positional and by keyword."""
    assert pickle.loads(unseal(PACKER.arguments(args, kwargs))) == (args, kwargs)


@given(args=st.lists(PLAIN).map(tuple))
def test_the_short_way_is_the_long_way(args: tuple[Any, ...]) -> None:
    """Plain arguments skip cloudpickle and give the parcel it would have given."""
    assert PACKER.arguments(args, {}) == seal(pickle.dumps((args, {}), 5))


class Local:
    """A class that stands for the user's."""

    def __init__(self, x: int) -> None:
        self.x = x


@pytest.mark.parametrize(
    "value",
    [
        range(1, 9, 3),
        OrderedDict(a=1),
        defaultdict(list, a=[1]),
        deque([1], maxlen=3),
        decimal.Decimal("1.5"),
        datetime.now(UTC),
        Path("/somewhere"),
        slice(1, 2),
        bytearray(b"x"),
        {1, 2},
        Ellipsis,
        int,
        Local,
        len,
    ],
)
def test_common_values_arrive(value: Any) -> None:
    """Types of the standard library, classes and functions arrive equal."""
    assert arrived(value, k=value) == ((value,), {"k": value})


def test_functions_as_arguments_arrive() -> None:
    """Lambdas, partials and bound methods work as arguments, and share what they share."""
    values: list[int] = []
    (add, most, method, same), _ = arrived(
        lambda x: values.append(x + 0), partial(max, 1), values.append, values
    )

    add(1)
    method(2)

    assert most(5) == 5
    assert same == [1, 2]
    assert values == []


def test_identity_and_circles_survive() -> None:
    """An object sent twice in one call arrives once, and one that holds itself arrives so."""
    circle: list[Any] = []
    circle.append(circle)

    (one, two, again), _ = arrived(circle, local := Local(1), local)

    assert one[0] is one
    assert two is again


def test_calls_do_not_leak_into_each_other() -> None:
    """Pickling many values one after another leaves no trace of one in the next."""
    parcels = [PACKER.arguments(([at], Local(at)), {}) for at in range(100)]

    found = [pickle.loads(unseal(parcel))[0] for parcel in parcels]

    assert [(first, second.x) for first, second in found] == [([at], at) for at in range(100)]


def test_a_failure_leaves_the_packer_whole() -> None:
    """After arguments that cannot be pickled the next ones are packed as if nothing was."""
    with pytest.raises(Exception, match="lock"):
        PACKER.arguments(([1], threading.Lock()), {})

    assert arrived([2]) == (([2],), {})


class Nested:
    """Packs something itself while it is packed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytes, (PACKER.arguments(([1],), {}),)


def test_packing_may_happen_inside_packing() -> None:
    """An object whose pickling packs another one disturbs neither."""
    (before, inner, after), _ = arrived(["a"], Nested(), ["b"])

    assert (before, after) == (["a"], ["b"])
    assert pickle.loads(unseal(inner)) == (([1],), {})


def test_threads_may_share_a_packer() -> None:
    """Many threads pack at once and each gets its own."""
    with ThreadPoolExecutor(8) as pool:
        parcels = list(
            pool.map(lambda at: PACKER.arguments(([at] * 50,), {"k": Local}), range(400))
        )

    assert [pickle.loads(unseal(parcel))[0][0][0] for parcel in parcels] == list(range(400))


def test_fast_serialization_trades_help_for_speed() -> None:
    """0 names the culprit, 1 only says what failed, 2 is plain pickle, which takes less."""
    with pytest.raises(PackingError, match=r"args\[0\] -> item 'lock' is a _thread.lock"):
        PACKER.arguments(({"lock": threading.Lock()},), {})
    with pytest.raises(PackingError, match=r"Cannot send the arguments: TypeError: .*leave out"):
        PACKER.arguments(({"lock": threading.Lock()},), {}, None, 1)
    assert pickle.loads(unseal(PACKER.arguments((lambda: 5,), {}, None, 1)))[0][0]() == 5
    with pytest.raises(PackingError, match=r"Cannot send the arguments: .*lambda"):
        PACKER.arguments((lambda: 5,), {}, None, 2)
    plain = PACKER.arguments(([1, Path("x")],), {"a": 1}, None, 2)
    assert pickle.loads(unseal(plain)) == (([1, Path("x")],), {"a": 1})
