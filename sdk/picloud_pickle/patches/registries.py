"""Tables and lists in which a module of the program collects functions and classes of others.

A decorator or `__init_subclass__` puts them there, when the module that defines them is imported.
A job imports what its function names, and no more: the modules that register something are named
in its pickle.
"""

from __future__ import annotations

import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_KINDS: Final = frozenset((dict, list))
_PLAIN: Final = frozenset((int, float, str, bytes, bool, type(None), list, dict, tuple))
"""Kinds of what no module registers: most lists hold nothing else, which C finds out by itself."""
_WIDEST: Final = 10_000
_NOTHING: Final[list[tuple[str, Any]]] = []


def of_class(kind: type) -> list[tuple[str, Any]]:
    """Return the tables and lists of a class that may hold what others register, by their names.

    >>> of_class(type("Plugin", (), {"kinds": {"a": len}, "hooks": [], "size": 3}))
    [('kinds', {'a': <built-in function len>})]
    """
    scope = kind.__dict__
    if _KINDS.isdisjoint(map(type, scope.values())):
        return _NOTHING
    return [
        (name, value)
        for name, value in [*scope.items()]
        if type(value) in _KINDS and value and not name.startswith("__")
    ]


def is_plain(values: list[Any]) -> bool:
    """Return whether a list holds nothing that a module registers.

    >>> is_plain([1, "a"]), is_plain([len])
    (True, False)
    """
    return _PLAIN.issuperset(map(type, values))


def registrars(
    module: str,
    scope: Mapping[str, Any],
    tables: Iterable[Any],
    is_of_program: Callable[[object], bool],
) -> tuple[str, ...]:
    """Return the modules of the program that have registered something with one of its modules.

    Args:
        module: The name of that module.
        scope: What it holds.
        tables: Its tables and lists, and those of its classes.
        is_of_program: Whether a module of a name is of the program.
    """
    registered = [
        (value, name)
        for table in tables
        if len(table) <= _WIDEST
        for value in _values(table)
        if (name := _origin(value)) is not None and name != module
    ]
    if not registered:
        return ()
    # What the module itself imports is imported in the job as well.
    own = {id(value) for value in [*scope.values()]}
    names = {name for value, name in registered if id(value) not in own}
    return tuple(
        name
        for name in sorted(names)
        if id(sys.modules.get(name)) not in own and is_of_program(name)
    )


def _values(table: Any) -> Iterator[Any]:
    return iter([*(table.values() if type(table) is dict else table)])


def _origin(value: Any) -> str | None:
    """Return the module of a function or class that is defined in Python."""
    if type(value) is FunctionType:
        name = value.__globals__.get("__name__")
    elif isinstance(value, type):
        name = value.__module__
    else:
        return None
    return name if isinstance(name, str) else None


def after_imports(_imported: list[Any], value: Any) -> Any:
    """Return a value that was loaded after some modules, which have registered something."""
    return value
