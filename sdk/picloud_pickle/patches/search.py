"""Finds what the program has put into a module that other processes import for themselves.

`register_dataframe_accessor` of pandas, `json.JSONEncoder.default = mine` and
`sqlite3.register_adapter` leave a function or class of the program in a class or table of the
module. A job that uses the module is to find it there as well.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_pickle.reference import MAIN, is_dynamic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    _IsOrigin = Callable[[object], bool]

_HEAP_TYPE: Final = 1 << 9
_NOT_SEARCHED: Final = frozenset(
    (
        *("builtins", "sys", "warnings", "threading", "logging", "abc", "copyreg", "functools"),
        *("typing", "typing_extensions", "types", "multiprocessing", "concurrent", "asyncio"),
        *("cloud", "cloudpickle", "picloud_model", "picloud_pickle", "picloud_worker"),
    )
)
"""Packages that are restored by themselves, or keep functions only while they work with them."""
_INSTALLED: Final = (
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    *("/site-packages/", "/dist-packages/"),
)
_WRAPPERS: Final = frozenset(
    (property, classmethod, staticmethod, functools.partial, functools.cached_property)
)
_PLAIN: Final = frozenset(
    (
        *(int, float, str, bytes, bool, type(None), list, set, frozenset),
        *(WrapperDescriptorType, MethodDescriptorType, GetSetDescriptorType),
        *(MemberDescriptorType, BuiltinFunctionType),
    )
)
_FEW: Final = 8
_WIDEST: Final = 10_000


class Place(NamedTuple):
    """Where the program has put something: a class, table or module, and the name or key there.

    `path` is the name of the class or table in its module; it is empty for the module itself.
    """

    module: str
    path: str
    name: Any


_known: dict[str, bool] = {}
"""Which modules are of the program."""


def places(module: str, scope: Mapping[str, Any]) -> tuple[Place, ...]:
    """Return the places in a module that hold functions or classes of the program.

    >>> import json
    >>> json.JSONEncoder.shout = type("Shout", (), {"__module__": "__main__"})
    >>> places("json", vars(json))
    (Place(module='json', path='JSONEncoder', name='shout'),)
    >>> del json.JSONEncoder.shout
    """
    top = module.partition(".")[0]
    if top in _NOT_SEARCHED or module in MAIN:
        return ()
    # Modules of the program refer to each other as they are imported; the script is not imported.
    is_origin = _is_main if _is_of_program(module) else _is_of_program
    found: list[Place] = []
    for name, value in list(scope.items()):
        kind = type(value)
        if kind is FunctionType:
            if value.__globals__ is not scope and _has_origin(value, is_origin):
                found.append(Place(module, "", name))
        elif kind is dict:
            found.extend(_in_table(Place(module, name, ""), value, is_origin))
        elif isinstance(value, type):
            if str(value.__module__).partition(".")[0] == top:
                found.extend(_in_class(Place(module, name, ""), value, scope, is_origin))
            elif is_origin(value.__module__):
                found.append(Place(module, "", name))
    return tuple(found)


def _in_table(place: Place, table: dict[Any, Any], is_origin: _IsOrigin) -> Iterator[Place]:
    if place.path.startswith("__") or len(table) > _WIDEST:
        return
    for key, value in list(table.items()):
        if (type(value) not in _PLAIN and _has_origin(value, is_origin)) or (
            type(key) not in _PLAIN and _has_origin(key, is_origin)
        ):
            yield place._replace(name=key)


def _in_class(
    place: Place, kind: type, scope: Mapping[str, Any], is_origin: _IsOrigin
) -> Iterator[Place]:
    for name, value in list(vars(kind).items()) if kind.__flags__ & _HEAP_TYPE else ():
        if type(value) is FunctionType:
            patched = value.__globals__ is not scope and _has_origin(value, is_origin)
        else:
            patched = type(value) not in _PLAIN and (
                _has_origin(value, is_origin) or _holds(value, is_origin)
            )
        if patched:
            yield place._replace(name=name)


def content(place: Place) -> Any:
    """Return what a place holds now; None if it is gone."""
    scope = vars(sys.modules[place.module])
    if place.path:
        owner = scope.get(place.path)
        scope = owner if type(owner) is dict else getattr(owner, "__dict__", {})
    return scope.get(place.name)


def _has_origin(value: Any, is_origin: _IsOrigin) -> bool:
    """Whether a value is a function or class of some module, under a wrapper or in a tuple."""
    kind = type(value)
    if kind is FunctionType:
        return is_origin(value.__globals__.get("__name__"))
    if isinstance(value, type):
        return is_origin(value.__module__)
    if kind is tuple:
        parts = value[:_FEW]
    elif kind in _WRAPPERS:
        parts = [
            getattr(value, name, None) for name in ("fget", "fset", "fdel", "__func__", "func")
        ]
    else:
        return False
    return any(_has_origin(each, is_origin) for each in parts)


def _holds(value: Any, is_origin: _IsOrigin) -> bool:
    """Whether an object is of such a class, or holds one, as an accessor of pandas does."""
    kind = type(value)
    if not kind.__flags__ & _HEAP_TYPE:
        return False
    if is_origin(kind.__module__):
        return True
    try:
        scope = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    return len(scope) <= _FEW and any(_has_origin(each, is_origin) for each in scope.values())


def _is_main(name: object) -> bool:
    return name in MAIN


def _is_of_program(name: object) -> bool:
    """Whether a module is the main program's, or one of the user's own."""
    if not isinstance(name, str):
        return False
    known = _known.get(name)
    if known is None:
        module = sys.modules.get(name)
        known = name in MAIN or (module is not None and _is_own(name, module))
        if module is not None:
            _known[name] = known
    return known


def _is_own(name: str, module: ModuleType) -> bool:
    if is_dynamic(module):
        return True
    file = getattr(module, "__file__", None)
    ours = name.partition(".")[0] in _NOT_SEARCHED
    return isinstance(file, str) and not ours and not any(folder in file for folder in _INSTALLED)
