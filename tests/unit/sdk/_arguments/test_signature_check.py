"""Calls that Python could not make are refused before anything is sent."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from cloud import CloudException
from cloud._arguments.signature_check import check

if TYPE_CHECKING:
    from collections.abc import Callable


def plain(x: int, y: int = 2) -> int:
    """With a default."""
    return x + y


def keyword_only(x: int, *, y: int) -> int:
    """With an argument that has to be named."""
    return x + y


def positional_only(x: int, /, y: int) -> int:
    """With an argument that cannot be named."""
    return x + y


def injecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that passes an argument of its own."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function("database", *args)

    return wrapper


@injecting
def injected(database: str, x: int) -> tuple[str, int]:
    """It takes one argument less than it seems to."""
    return database, x


class Adder:
    """Callable, and with a constructor that takes something."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, x: int) -> int:
        return x + self.by

    def add(self, x: int) -> int:
        return x + self.by


GOOD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, 2), {}),
    (plain, (), {"x": 1}),
    (keyword_only, (1,), {"y": 2}),
    (positional_only, (1, 2), {}),
    (injected, (1,), {}),
    (Adder, (1,), {}),
    (Adder(1), (2,), {}),
    (Adder(1).add, (2,), {}),
    (functools.partial(plain, 1), (), {}),
    (functools.partial(plain, y=1), (1,), {}),
    (functools.partial(injected, 1), (), {}),
    (abs, (-1,), {}),
    (max, (1, 2), {}),
    (dict, (), {"any": 1}),
    (print, (1, 2, 3), {"sep": ""}),
    (operator.itemgetter(1), ([1, 2],), {}),
    (Mock(), (1, 2), {"three": 3}),
    (lambda *args, **kwargs: None, (1, 2), {"three": 3}),
]
BAD: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], str]] = [
    (plain, (), {}, r"plain\(\).*missing a required argument: 'x'"),
    (plain, (1, 2, 3), {}, "too many positional arguments"),
    (plain, (1,), {"z": 1}, "unexpected keyword argument 'z'"),
    (plain, (1,), {"x": 1}, "multiple values for argument 'x'"),
    (keyword_only, (1, 2), {}, "too many positional arguments"),
    (keyword_only, (1,), {}, "missing a required argument: 'y'"),
    (positional_only, (1,), {"x": 1}, "positional only|missing a required argument"),
    (Adder, (), {}, r"Adder\(\).*missing a required argument: 'by'"),
    (Adder(1), (), {}, r"Adder\(\).*missing a required argument: 'x'"),
    (Adder(1).add, (1, 2), {}, "too many positional arguments"),
    (functools.partial(plain, 1, 2), (3,), {}, "too many positional arguments"),
    (abs, (), {}, r"abs\(\).*missing a required argument"),
    (abs, (1,), {"label": "x"}, "keyword.*; options of the job begin with an underscore: _label"),
    (lambda: None, (1,), {}, r"<lambda>\(\).*too many positional arguments"),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), GOOD)
def test_calls_that_python_can_make_pass(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Whatever says which arguments it takes, or does not."""
    check(func, args, kwargs)


@pytest.mark.parametrize(("func", "args", "kwargs", "reason"), BAD)
def test_other_calls_are_type_errors(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> None:
    """A TypeError, as at home, and a CloudException, as all that cannot be sent."""
    with pytest.raises(TypeError, match=reason) as caught:
        check(func, args, kwargs)

    assert isinstance(caught.value, CloudException)
