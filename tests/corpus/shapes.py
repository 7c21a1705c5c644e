"""A module of the user's own: it travels with the functions that need it."""

from __future__ import annotations

import functools
import random
from typing import Any, Final

MISSING: Final = object()
"""What tells a missing argument from None."""
generator: Final = random.Random()
TABLE: Final[dict[str, Any]] = {}
"""What programs register here."""


class Registry:
    """Counts what was registered."""

    kinds: tuple[str, ...] = ()


@functools.singledispatch
def area(shape: object) -> Any:
    """The area of a shape."""
    return f"no area of {type(shape).__name__}"


@area.register
def _(shape: int) -> Any:
    return shape


@functools.cache
def cached(x: int) -> int:
    """A cached function of the module."""
    return x * 2


def total(shapes: list[object]) -> list[Any]:
    """The areas of several shapes."""
    return [area(shape) for shape in shapes]


def is_missing(value: object = MISSING) -> bool:
    """Whether a value is the module's own marker."""
    return value is MISSING
