"""What cannot be pickled is named, with the way to it and what to do."""

from __future__ import annotations

import re
import socket
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cloud._packing.errors import PackingError
from cloud._packing.packer import Packer

if TYPE_CHECKING:
    from collections.abc import Callable

LOCK = threading.Lock()


@dataclass
class Model:
    """Holds what cannot travel."""

    name: str = "m"
    _lock: Any = field(default_factory=threading.Lock)

    def fit(self) -> None:
        """Be called."""


class Slotted:
    """Holds it in a slot."""

    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = LOCK


class Stubborn:
    """Refuses by itself."""

    def __reduce__(self) -> Any:
        raise ValueError("not me")


class Shouting:
    """Cannot even be asked."""

    def __getstate__(self) -> Any:
        raise KeyError(LOCK)


def closure() -> Callable[[], Any]:
    """A function whose closure leads to a lock."""
    model = Model()

    def f() -> Any:
        return model

    return f


def with_default(x: Any = LOCK) -> None:
    """Not importable by its name, as it is changed below."""


def local(function: Any) -> Any:
    """Make a function one that is pickled by value."""
    function.__module__ = "__main__"
    return function


def attributed() -> Any:
    """A function with an attribute."""

    def f() -> None: ...

    f.cache = {"k": [LOCK]}  # type: ignore[attr-defined]
    return f


LOCKED = "is a _thread.lock, which cannot be pickled; create it inside the function."


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (closure(), f"closure.<locals>.f: closure variable 'model' -> attribute '_lock' {LOCKED}"),
        (lambda: LOCK, f"lambda: global 'LOCK' {LOCKED}"),
        (lambda: [LOCK for _ in ()], f"lambda: global 'LOCK' {LOCKED}"),
        (local(with_default), f"with_default: default of 'x' {LOCKED}"),
        (Model().fit, f"Model.fit: its object -> attribute '_lock' {LOCKED}"),
        (partial(print, LOCK), f"builtins.print: argument 0 {LOCKED}"),
        (partial(print, end=LOCK), f"builtins.print: argument 'end' {LOCKED}"),
        (attributed(), f"attributed.<locals>.f: attribute 'cache' -> item 'k' -> item 0 {LOCKED}"),
        (LOCK.acquire, "lock.acquire: "),
    ],
)
def test_the_way_through_a_function_is_told(func: Any, message: str) -> None:
    """From a function the way leads through closures, globals, defaults, attributes, its object."""
    with pytest.raises(PackingError) as raised:
        Packer().function(func)

    assert message in str(raised.value)
    assert str(raised.value).startswith("Cannot send ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (LOCK, f"args[1] {LOCKED}"),
        ([0, (LOCK,)], f"args[1] -> item 1 -> item 0 {LOCKED}"),
        ({"a": 1, "b": {"c": LOCK}}, f"args[1] -> item 'b' -> item 'c' {LOCKED}"),
        ({(LOCK,): 1}, f"args[1] -> key a tuple -> item 0 {LOCKED}"),
        ({LOCK}, f"args[1] -> an element {LOCKED}"),
        (deque([LOCK]), f"args[1] -> item 0 {LOCKED}"),
        (OrderedDict(a=LOCK), f"args[1] -> item 'a' {LOCKED}"),
        (Model(), f"args[1] -> attribute '_lock' {LOCKED}"),
        (Slotted(), f"args[1] -> attribute 'lock' {LOCKED}"),
        (ValueError(LOCK), f"args[1] -> a part of it {LOCKED}"),
        (closure(), f"args[1] -> closure variable 'model' -> attribute '_lock' {LOCKED}"),
        (
            (n for n in "ab"),
            "args[1] is a generator, which cannot be pickled; send a list of its items.",
        ),
        (re.match("a", "a"), "args[1] is a re.Match, which cannot be pickled; send its groups."),
        (Stubborn(), "Stubborn, which cannot be pickled (ValueError: not me); create it inside"),
        (Shouting(), "Shouting, which cannot be pickled (KeyError: "),
    ],
)
def test_the_way_through_arguments_is_told(value: Any, message: str) -> None:
    """From the arguments the way leads through containers, attributes and slots."""
    with pytest.raises(PackingError) as raised:
        Packer().arguments((1, value), {})

    assert message in str(raised.value)


def test_keywords_are_named() -> None:
    """A keyword argument is named by its keyword."""
    with (
        socket.socket() as connection,
        pytest.raises(PackingError, match=r"arguments: argument 'to' is a socket\.socket, which"),
    ):
        Packer().arguments((), {"x": 1, "to": connection})


def test_what_holds_itself_is_searched_once() -> None:
    """A culprit behind circles is found."""
    first: dict[str, Any] = {}
    first["second"] = {"first": first, "list": [first, LOCK]}

    with pytest.raises(
        PackingError, match=r"args\[0\] -> item 'second' -> item 'list' -> item 1 is a _th"
    ):
        Packer().arguments((first,), {})


def test_a_long_way_is_shortened() -> None:
    """Of a way of many steps the middle is left out."""
    deep: Any = LOCK
    for _ in range(20):
        deep = [deep]

    with pytest.raises(PackingError) as raised:
        Packer().arguments((deep,), {})

    assert "args[0] -> item 0 -> item 0 -> item 0 -> ... -> item 0" in str(raised.value)
    assert str(raised.value).count("->") == 8
    assert LOCKED in str(raised.value)


def test_too_deep_nesting_is_told() -> None:
    """Values nested deeper than pickle goes are refused for that."""
    deep: Any = None
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(PackingError, match="it is nested too deeply"):
        Packer().arguments((deep,), {})


def test_what_is_no_function_is_refused() -> None:
    """Only what can be called is a function."""
    with pytest.raises(PackingError, match="Cannot send 5: it is not a function"):
        Packer().function(5)  # type: ignore[arg-type]
