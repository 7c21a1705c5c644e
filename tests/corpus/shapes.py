"""A module of the user's own: it travels with the functions that need it."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING: Final = object()
"""What tells a missing argument from None."""
generator: Final = random.Random()
TABLE: Final[dict[str, Any]] = {}
"""What programs register here."""


PLUGINS: Final[dict[str, Callable[[int], int]]] = {}
HOOKS: Final[list[Callable[[int], int]]] = []
"""What other modules and programs register by decorators."""


class Registry:
    """Counts what was registered."""

    kinds: tuple[str, ...] = ()


class Plugin:
    """Knows the classes that are derived from it."""

    known: ClassVar[dict[str, type[Plugin]]] = {}
    in_order: ClassVar[list[type[Plugin]]] = []

    def __init_subclass__(cls) -> None:
        """Remember a class."""
        Plugin.known[cls.__name__] = cls
        Plugin.in_order.append(cls)


def plugin(function: Callable[[int], int]) -> Callable[[int], int]:
    """Register a function by its name."""
    PLUGINS[function.__name__] = function
    return function


def hook(function: Callable[[int], int]) -> Callable[[int], int]:
    """Register a function that is called in turn."""
    HOOKS.append(function)
    return function


def hooked(x: int) -> list[int]:
    """Return what each hook makes of a number."""
    return [each(x) for each in HOOKS]


def plugged(name: str, x: int) -> int:
    """Return what a plugin makes of a number."""
    return PLUGINS[name](x)


def known() -> list[str]:
    """Return the names of the classes that are known."""
    return [each.__name__ for each in Plugin.in_order if Plugin.known[each.__name__] is each]


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
