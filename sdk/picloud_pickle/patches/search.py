"""Finds what the program has put into a module that other processes import for themselves.

`register_dataframe_accessor` of pandas, `json.JSONEncoder.default = mine` and
`sqlite3.register_adapter` leave a function or class of the program in a class or table of the
module. A job that uses the module is to find it there as well.
"""

from __future__ import annotations

import functools
import os
import sys
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

from picloud_pickle.patches import registries
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
    os.path.dirname(os.__file__),  # noqa: PTH120 - `sysconfig` and `pathlib` take milliseconds
    f"{sys.base_exec_prefix}/{sys.platlibdir}/python{sys.version_info[0]}.{sys.version_info[1]}/",
    *("/site-packages/", "/dist-packages/"),
)
_PLAIN: Final = frozenset(
    (
        *(int, float, str, bytes, bool, type(None), list, set, frozenset),
        *(WrapperDescriptorType, MethodDescriptorType, GetSetDescriptorType),
        *(MemberDescriptorType, BuiltinFunctionType, ModuleType),
    )
)
_IGNORED: Final = _PLAIN - {list}
"""What a module holds that is not searched."""
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


class Contents(NamedTuple):
    """What the program has put into a module, and which of its modules register something there."""

    places: tuple[Place, ...]
    registrars: tuple[str, ...]


_NOTHING: Final = Contents((), ())


def contents(module: str, scope: Mapping[str, Any]) -> Contents:
    """Return the places in a module that hold functions or classes of the program.

    >>> import textwrap
    >>> textwrap.TextWrapper.shout = type("Shout", (), {"__module__": "__main__"})
    >>> contents("textwrap", vars(textwrap)).places
    (Place(module='textwrap', path='TextWrapper', name='shout'),)
    >>> del textwrap.TextWrapper.shout
    """
    top = module.partition(".")[0]
    if top in _NOT_SEARCHED or module in MAIN:
        return _NOTHING
    # Modules of the program refer to each other as they are imported; the script is not imported.
    search = _Search(module, scope)
    is_origin = search.is_origin
    for name, value in _foreign(scope):
        kind = type(value)
        if kind is dict:
            search.table(name, value)
        elif kind is list:
            if search.is_own and not registries.is_plain(value):
                search.listed(name, value)
        elif kind is not FunctionType and not isinstance(value, type):
            continue
        elif kind is not FunctionType and _is_in(value.__module__, module, top):
            search.class_(name, value)
        elif _has_origin(value, is_origin):
            search.places.append(Place(module, "", name))
        else:
            _clean.note(value)
    for owner, path in _LISTS.get(module, ()):
        search.places.extend(_in_list(Place(owner, path, ""), is_origin))
    return Contents((*search.places,), search.registrars() if search.is_own else ())


class _Search:
    """The search of one module: what was found, and its tables and lists."""

    __slots__ = ("is_origin", "is_own", "module", "places", "scope", "tables")

    def __init__(self, module: str, scope: Mapping[str, Any]) -> None:
        self.module = module
        self.scope = scope
        self.is_own = _is_of_program(module)
        self.is_origin: _IsOrigin = _is_main if self.is_own else _is_of_program
        self.places: list[Place] = []
        self.tables: list[Any] = []

    def table(self, path: str, table: dict[Any, Any]) -> None:
        """Search a table of the module, or of a class in it."""
        if not path.startswith("__") and _may_hold(table):
            self.places.extend(_in_table(Place(self.module, path, ""), table, self.is_origin))
            self.tables.append(table)

    def listed(self, path: str, values: list[Any]) -> None:
        """Search a list of the module, or of a class in it."""
        self.places.extend(_in_list(Place(self.module, path, ""), self.is_origin))
        self.tables.append(values)

    def class_(self, name: str, kind: type) -> None:
        """Search a class of the module."""
        inner = registries.of_class(kind) if self.is_own else ()
        for each, table in inner:
            (self.table if type(table) is dict else self.listed)(f"{name}.{each}", table)
        home = self.scope if kind.__module__ == self.module else _home(kind, self.is_origin)
        members = _in_class(kind, home, self.is_origin)
        if members:
            self.places.extend(Place(self.module, name, each) for each in members)
        elif not inner:
            _clean.note(kind)

    def registrars(self) -> tuple[str, ...]:
        """Return which modules of the program have registered something here."""
        if not self.tables:
            return ()
        return registries.registrars(self.module, self.scope, self.tables, _is_other)


def _is_other(name: object) -> bool:
    """Whether a module is one of the user's own, and not the main program's."""
    return name not in MAIN and _is_of_program(name)


def _may_hold(table: dict[Any, Any]) -> bool:
    # Most tables hold plain values only, which C finds out by itself.
    return not (
        _PLAIN.issuperset(map(type, [*table.values()])) and _PLAIN.issuperset(map(type, [*table]))
    )


def _foreign(scope: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what a module holds except for plain values and functions of its own."""
    # A comprehension, as all that all modules hold goes through it.
    clean = _clean.values()
    return [
        (name, value)
        for name, value in [*scope.items()]
        if (kind := type(value)) not in _IGNORED
        and (kind is not FunctionType or value.__globals__ is not scope)
        and clean.get(id(value)) is not value
    ]


def _in_table(place: Place, table: dict[Any, Any], is_origin: _IsOrigin) -> Iterator[Place]:
    if len(table) > _WIDEST:
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


def _is_in(name: object, module: str, top: str) -> bool:
    """Whether what says that it is of a module is of this one, or of its package."""
    return name == module or str(name).partition(".")[0] == top


def _in_class(kind: type, home: object, is_origin: _IsOrigin) -> list[str]:
    """Return the names of the members of a class that are of the program, and not of its home."""
    if not kind.__flags__ & _HEAP_TYPE:
        return []
    return [
        name
        for name, value in [*kind.__dict__.items()]
        if (of := type(value)) not in _PLAIN
        and (of is not FunctionType or value.__globals__ is not home)
        and (_has_origin(value, is_origin) or _holds(value, is_origin))
    ]


def _home(kind: type, is_origin: _IsOrigin) -> object:
    """Return the namespace of the module of a class, which most of its functions have."""
    name = kind.__module__
    return None if is_origin(name) else getattr(sys.modules.get(name), "__dict__", None)


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
    parts = _PARTS.get(kind)
    if parts is not None:
        for part in parts(value):
            if part is not None and _has_origin(part, is_origin):
                return True
    return False


_PARTS: Final[dict[type, Callable[[Any], tuple[Any, ...]]]] = {
    property: lambda value: (value.fget, value.fset, value.fdel),
    classmethod: lambda value: (value.__func__,),
    staticmethod: lambda value: (value.__func__,),
    functools.partial: lambda value: (value.func,),
    functools.cached_property: lambda value: (value.func,),
    tuple: lambda value: value[:_FEW],
}
"""What is under a wrapper, or in a tuple."""


def _holds(value: Any, is_origin: _IsOrigin) -> bool:
    """Whether an object is of such a class, or holds one, as an accessor of pandas does."""
    kind = type(value)
    if not kind.__flags__ & _HEAP_TYPE or kind in _PARTS:
        return False
    if is_origin(kind.__module__):
        return True
    try:
        scope = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False
    return len(scope) <= _FEW and any(_has_origin(each, is_origin) for each in scope.values())


def is_of_program(value: object) -> bool:
    """Whether a value is a function, class or instance of the program."""
    return _has_origin(value, _is_of_program) or _holds(value, _is_of_program)


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
