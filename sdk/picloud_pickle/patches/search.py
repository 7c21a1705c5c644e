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
_PLAIN: Final = frozenset(
    (
        *(int, float, str, bytes, bool, type(None), list, set, frozenset),
        *(WrapperDescriptorType, MethodDescriptorType, GetSetDescriptorType),
        *(MemberDescriptorType, BuiltinFunctionType, ModuleType),
    )
)
_LISTS: Final = {"pandas": (("pandas.core.dtypes.base", "_registry.dtypes"),)}
"""Lists in which a package keeps what programs register with it: modules and paths."""
_FEW: Final = 8
_WIDEST: Final = 10_000


class Place(NamedTuple):
    """Where the program has put something: a class, table or module, and the name or key there.

    `path` leads to the class, table or list in its module; it is empty for the module itself.
    The name in a list is an index.
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
    for name, value in _foreign(scope, scope):
        kind = type(value)
        if kind is dict:
            found.extend(_in_table(Place(module, name, ""), value, is_origin))
        elif kind is not FunctionType and not isinstance(value, type):
            continue
        elif kind is not FunctionType and str(value.__module__).partition(".")[0] == top:
            found.extend(_in_class(Place(module, name, ""), value, is_origin))
        elif _has_origin(value, is_origin):
            found.append(Place(module, "", name))
        else:
            _clean.note(value)
    for owner, path in _LISTS.get(module, ()):
        found.extend(_in_list(Place(owner, path, ""), is_origin))
    return tuple(found)


def _foreign(scope: Mapping[str, Any], home: object) -> list[tuple[str, Any]]:
    """Return the names of a namespace except for plain values and functions of its own."""
    # A comprehension, as all that all modules hold goes through it.
    clean = _clean.values()
    return [
        (name, value)
        for name, value in [*scope.items()]
        if (kind := type(value)) not in _PLAIN
        and (kind is not FunctionType or value.__globals__ is not home)
        and clean.get(id(value)) is not value
    ]


def _in_table(place: Place, table: dict[Any, Any], is_origin: _IsOrigin) -> Iterator[Place]:
    if place.path.startswith("__") or len(table) > _WIDEST:
        return
    for key, value in list(table.items()):
        if (type(value) not in _PLAIN and _has_origin(value, is_origin)) or (
            type(key) not in _PLAIN and _has_origin(key, is_origin)
        ):
            yield place._replace(name=key)


def _in_list(place: Place, is_origin: _IsOrigin) -> Iterator[Place]:
    for index, value in enumerate(_owner(place) or ()):
        if _has_origin(value, is_origin):
            yield place._replace(name=index)


def _in_class(place: Place, kind: type, is_origin: _IsOrigin) -> Iterator[Place]:
    members = vars(kind) if kind.__flags__ & _HEAP_TYPE else {}
    patched = False
    for name, value in _foreign(members, _home(members)):
        if _has_origin(value, is_origin) or _holds(value, is_origin):
            patched = True
            yield place._replace(name=name)
    if not patched:
        _clean.note(kind)


def _home(members: Mapping[str, Any]) -> object:
    """Return the namespace that most functions of a class have: it may say another module."""
    for value in members.values():
        if type(value) is FunctionType:
            scope = value.__globals__
            return None if _is_of_program(scope.get("__name__")) else scope
    return None


def content(place: Place) -> Any:
    """Return what a place holds now; None if it is gone."""
    owner = _owner(place)
    if type(owner) is list:
        return owner[place.name] if place.name < len(owner) else None
    return (owner if type(owner) is dict else getattr(owner, "__dict__", {})).get(place.name)


def _owner(place: Place) -> Any:
    owner: Any = sys.modules.get(place.module)
    for name in filter(None, place.path.split(".")):
        owner = getattr(owner, name, None)
    return owner


class _Clean:
    """Classes and functions that hold nothing of the program: many modules have the same ones.

    They are forgotten when the main program has grown, which may have changed them.
    """

    def __init__(self) -> None:
        self._of_main = 0
        self._values: dict[int, Any] = {}

    def values(self) -> dict[int, Any]:
        """Return them by their ids."""
        of_main = len(sys.modules["__main__"].__dict__)
        if of_main != self._of_main:
            self._of_main = of_main
            self._values.clear()
        return self._values

    def note(self, value: Any) -> None:
        """Add one."""
        self._values[id(value)] = value


_clean: Final = _Clean()


def _has_origin(value: Any, is_origin: _IsOrigin) -> bool:
    """Whether a value is a function or class of some module, under a wrapper or in a tuple."""
    kind = type(value)
    if kind is FunctionType:
        return is_origin(value.__globals__.get("__name__"))
    if isinstance(value, type):
        return is_origin(value.__module__)
    for part in _parts(value):  # noqa: SIM110 - `any` takes twice the time
        if part is not None and _has_origin(part, is_origin):
            return True
    return False


def _parts(value: Any) -> tuple[Any, ...]:
    """Return what is under a wrapper, or in a tuple."""
    kind = type(value)
    if kind is property:
        return value.fget, value.fset, value.fdel
    if kind is classmethod or kind is staticmethod:
        return (value.__func__,)
    if kind is functools.partial or kind is functools.cached_property:
        return (value.func,)
    return value[:_FEW] if kind is tuple else ()


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
