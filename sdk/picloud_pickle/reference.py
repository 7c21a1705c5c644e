"""What travels by name and what by value, and what every reduction is given."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

from cloudpickle.cloudpickle import _is_registered_pickle_by_value, _lookup_module_and_qualname

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAIN: Final = frozenset(("__main__", "__mp_main__"))
"""Names of the main program, which no other process can import."""
PLAIN: Final = frozenset((int, float, complex, str, bytes, bool, type(None)))
"""Kinds of values that lead to no others."""

_main: dict[str, Any] | None = None
_brought: dict[str, Any] = {}
_patches: list[Any] = []
_OF_CYTHON: Final = "_cython_"
"""What the modules begin with in which extension modules share types."""


class Unsendable(Exception):
    """An object that must not travel; the message ends the sentence that begins with its name."""


class PicklingContext(Protocol):
    """The part of a pickler that reductions use.

    `modules` collects the names of modules that the pickle imports. `extras` allows parts that
    a job can do without, such as the names that only annotations use; code that adds one sets
    `has_extras`, so that a pickle that fails is tried again without them. `globals_ref` holds the
    new globals of each namespace and the new cell of each closure variable, which functions share,
    `checked_modules` are those whose dispatchers were looked at, `reached_modules` those that code
    reaches by a name, so that it says which of their submodules it uses. `source_room` is how many
    characters of source lines may be added, `sent_lines` the first and last lines of what classes
    have added, by file.
    `for_jobs` says that a job receives the pickle: an object whose class has
    `__picloud_argument__` is then reduced by that, and what the program has put into modules goes
    along.
    """

    modules: set[str]
    checked_modules: set[str]
    reached_modules: set[str]
    extras: bool
    has_extras: bool
    globals_ref: dict[int, Any]
    source_room: int
    sent_lines: dict[str, list[tuple[int, int]]]
    for_jobs: bool

    def note_function(self, function: FunctionType) -> None:
        """Take note of a function that travels by value."""


def by_reference(value: object, name: str | None = None) -> bool:
    """Whether a function or class travels as the name of a module's attribute.

    Args:
        value: A function, a class, or any other object with a `__module__`.
        name: Its name in the module, if it has no `__qualname__`.

    >>> by_reference(print), by_reference(lambda: 0)
    (True, False)
    """
    location = _lookup_module_and_qualname(value, name)
    return location is not None and is_importable(location[0])


def is_importable(module: ModuleType) -> bool:
    """Whether another process can import a module that is imported here."""
    return not (_is_registered_pickle_by_value(module) or is_dynamic(module))


def is_dynamic(module: object) -> bool:
    """Whether a module was made by the program itself, and no import leads to it.

    >>> is_dynamic(sys), is_dynamic(ModuleType("made_here"))
    (False, True)
    """
    if type(module) is not ModuleType:
        return False
    scope = module.__dict__
    if scope.get("__spec__") is not None or "__file__" in scope or "__path__" in scope:
        return False
    name = scope.get("__name__")
    if not isinstance(name, str) or name in MAIN or name in sys.builtin_module_names:
        return False
    if name.startswith(_OF_CYTHON):
        return False
    # A package may make its own submodules when it is imported.
    top, dot, _ = name.partition(".")
    return not dot or top not in sys.modules or is_dynamic(sys.modules[top])


def collect(names: dict[str, Any], brought: dict[str, Any], patches: list[Any]) -> None:
    """Collect from now on what loads bring of a main program, by its name there.

    Args:
        names: Is given functions, classes, markers, and the names that annotations use.
        brought: Is given functions by their tokens; a load that meets such a token again takes the
            function that is here.
        patches: Is given what the program has put into modules.
    """
    global _main, _brought, _patches
    _main, _brought, _patches = names, brought, patches


def note_patches(patches: Iterable[Any]) -> None:
    """Take note of what the program has put into modules; nothing is done where it is at home."""
    if _main is not None:
        _patches.extend(patches)


def is_in_job() -> bool:
    """Whether this process loads for jobs, and is not the home of what it loads."""
    return _main is not None


def brought(token: str) -> Any:
    """Return the function of a token that an earlier load for the same job made, or None."""
    return _brought.get(token)


def note_brought(token: str, value: Any) -> None:
    """Have later loads for the same job take this value for its token, and hold it until then."""
    if _main is not None:
        _brought[token] = value


def note_loaded(name: str, value: Any, used: Mapping[str, Any], *, certain: bool = True) -> None:
    """Take note of what a load has brought.

    Args:
        name: Its own name.
        value: A function, class or marker.
        used: What its annotations use, by name.
        certain: Whether the main program is known to have it by that name.
    """
    if _main is not None and value.__module__ == "__main__":
        if type(value) is FunctionType and "__file__" in value.__globals__:
            _main.setdefault("__file__", value.__globals__["__file__"])
        for each, type_ in used.items():
            _main.setdefault(each, type_)
        if getattr(value, "__qualname__", name) == name and name.isidentifier():
            if certain:
                _main[name] = value
            else:
                _main.setdefault(name, value)


def lacks_setstate(kind: Any) -> bool:
    """Whether loading an instance would ask the class's `__getattr__` for `__setstate__`."""
    return hasattr(kind, "__getattr__") and not hasattr(kind, "__setstate__")
