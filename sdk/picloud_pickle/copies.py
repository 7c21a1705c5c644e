"""Classes as pickles make them, by the names of the functions here: stored batches hold these.

A class that a process knows is left alone by what it loads. At home, in the process that defined
it, nothing of it changes. A copy, in a process that once loaded it, follows its sender: what the
sender has changed since the last load is set, and all else stays as the jobs have left it.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import threading
from contextlib import contextmanager
from hashlib import blake2b
from types import FunctionType, ModuleType, prepare_class
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary, WeakSet

from cloudpickle.cloudpickle import (
    _DYNAMIC_CLASS_TRACKER_BY_ID,
    _lookup_class_or_track,
    _make_skeleton_enum,
)

from picloud_pickle import source_lines
from picloud_pickle.reference import PLAIN, note_loaded

if TYPE_CHECKING:
    from collections.abc import Iterator

_CACHE: Final = type(functools.lru_cache(len))
_UNKNOWN: Final = "unknown"
_HOOK: Final = "__init_subclass__"
_IMMUTABLE: Final = 1 << 8


class _Given(NamedTuple):
    """An attribute as a load gave it: what tells whether its sender changed it, and its id."""

    token: object
    identity: int


class Copies:
    """The classes that loads have made in this process."""

    def __init__(self) -> None:
        self._given: WeakKeyDictionary[type, dict[str, _Given]] = WeakKeyDictionary()

    def __contains__(self, kind: object) -> bool:
        return kind in self._given

    def define(self, kind: type, name: str) -> bool:
        """Whether a class has an attribute from a copy, itself or through one of its bases."""
        definer = next((base for base in kind.__mro__ if name in vars(base)), None)
        return definer in self._given

    def fill(self, kind: type, attributes: dict[str, Any]) -> None:
        """Give a new class all its attributes."""
        given = self._given[kind] = {}
        for name, value in attributes.items():
            _set(kind, name, value)
            given[name] = _Given(_token(name, value), id(value))
        if "__firstlineno__" in attributes:  # to set an attribute deletes it
            _set(kind, "__firstlineno__", attributes["__firstlineno__"])

    def update(self, kind: type, attributes: dict[str, Any]) -> None:
        """Give a class those attributes that its sender has changed since the last load."""
        given = self._given[kind]
        present = vars(kind)
        for name, value in attributes.items():
            token, last = _token(name, value), given.get(name)
            # A function is renewed with the globals it uses, unless a job has replaced it.
            renewed = (
                last is not None and _is_function(value) and id(present.get(name)) == last.identity
            )
            if last is None or last.token != token or renewed:
                _set(kind, name, value)
                given[name] = _Given(token, id(value))
        for name in given.keys() - attributes.keys():
            if id(present.get(name)) == given.pop(name).identity:
                type.__delattr__(kind, name)


def _set(kind: Any, name: str, value: Any) -> None:
    if name == "__class__":  # `make_class` has set it, as a property that calls nothing yet
        if type(value) is property:
            property.__init__(vars(kind)[name], value.fget, value.fset, value.fdel, value.__doc__)
        return
    # A metaclass of the program's may forbid it; those of ctypes make the fields.
    if any(base.__module__ == "_ctypes" for base in type(kind).__mro__):
        setattr(kind, name, value)
    else:
        type.__setattr__(kind, name, value)


def _is_function(value: Any) -> bool:
    return _functions(value) != () and type(value) is not _CACHE


def _functions(value: Any) -> tuple[Any, ...]:
    """Return the functions inside a function, property, class method or other descriptor."""
    if isinstance(value, FunctionType):
        return (value,)
    names = ("fget", "fset", "fdel", "__func__", "func", "__wrapped__")
    inner = (getattr(value, name, None) for name in names)
    return tuple(each for each in inner if isinstance(each, FunctionType))


def _token(name: str, value: Any) -> object:
    """Return what stays equal while an attribute stays as it is."""
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind is _CACHE:
        return _cache_token(value.__wrapped__, [])
    functions = _functions(value)
    if functions:
        return (kind, *(function.__code__ for function in functions))
    if name.startswith("__"):
        return _UNKNOWN  # dataclasses and enumerations keep much there, and change none of it
    return _content(value)


def _cache_token(function: Any, seen: list[Any]) -> object:
    """Return what stays equal while a cached function computes the same."""
    if not isinstance(function, FunctionType):
        return _UNKNOWN
    seen.append(function)
    scope = function.__globals__
    values = [(name, scope[name]) for name in function.__code__.co_names if name in scope]
    return (
        function.__code__,
        *(
            (
                name,
                _cache_token(value, seen)
                if isinstance(value, FunctionType) and value not in seen
                else _content(value),
            )
            for name, value in values
        ),
    )


def _content(value: Any) -> object:
    sink = io.BytesIO()
    try:
        _ContentPickler(sink, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 -- what has no content to compare is left alone
        return _UNKNOWN
    return blake2b(sink.getbuffer(), digest_size=16).digest()


class _ContentPickler(pickle.Pickler):
    """Pickles to compare, not to load: functions, classes and modules are their names."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (FunctionType, type)):
            return str, (f"{value.__module__}.{value.__qualname__}",)
        if isinstance(value, ModuleType):
            return str, (value.__name__,)
        return NotImplemented


_copies: Final = Copies()


def is_copy(kind: object) -> bool:
    """Whether a load has made a class in this process."""
    return isinstance(kind, type) and kind in _copies


_unfilled: Final[WeakSet[type]] = WeakSet()
"""Classes that a load has made and not filled yet."""
_subclassing: Final = threading.RLock()
"""Held while a base has another hook than its own."""


def note_unfilled(kind: type) -> None:
    """Have the next load of a class give it all its attributes."""
    _unfilled.add(kind)


class _Silent:
    """A base before all others keeps `__init_subclass__` of the others from being called."""

    __slots__ = ()

    def __init_subclass__(cls, **_: object) -> None:
        """Do nothing."""


def make_class(
    metaclass: Any, name: str, bases: tuple[Any, ...], namespace: dict[str, Any], token: str
) -> type:
    """Make a class without attributes, or return the one that is known by its token."""
    kind: type | None = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if kind is None:
        kind = _lookup_class_or_track(token, _new_class(metaclass, name, bases, namespace))
        _unfilled.add(kind)
    return kind


def _new_class(
    metaclass: Any, name: str, bases: tuple[Any, ...], namespace: dict[str, Any]
) -> type:
    hooked = any(_copies.define(base, _HOOK) for base in bases)
    if metaclass not in _copies and not hooked:
        try:
            _, scope, _ = prepare_class(name, bases, {"metaclass": metaclass})
            scope.update(namespace)
            return cast("type", metaclass(name, bases, scope))
        except Exception:  # noqa: BLE001 -- a hook that wants more than an empty class
            hooked = True
    # What the program's own hooks do was done when it defined the class, and travels with them.
    own = next(each for each in metaclass.__mro__ if each not in _copies)

    def make(bases: tuple[Any, ...]) -> type:
        try:
            kind: type = own.__new__(metaclass, name, bases, namespace)
        except Exception:  # noqa: BLE001 -- as above
            kind = type.__new__(metaclass, name, bases, namespace)
        return kind

    if not hooked:
        return make(bases)
    if bases[0].__flags__ & _IMMUTABLE:
        # Its layout is the new class's anyway, so that its bases can be set later.
        kind = make((_Silent, *bases))
        type.__setattr__(kind, "__bases__", bases)
        return kind
    with _silent_subclassing(bases[0]):
        return make(bases)


@contextmanager
def _silent_subclassing(base: type) -> Iterator[None]:
    """Keep `__init_subclass__` of any class from being called for subclasses of a first base."""
    with _subclassing:
        before = vars(base).get(_HOOK)
        type.__setattr__(base, _HOOK, vars(_Silent)[_HOOK])
        try:
            yield
        finally:
            if before is None:
                type.__delattr__(base, _HOOK)
            else:
                type.__setattr__(base, _HOOK, before)


def make_enum(
    bases: tuple[Any, ...],
    names: tuple[str, str, str],
    members: dict[str, Any],
    contents: dict[str, tuple[Any, ...]] | None,
    token: str,
) -> type:
    """Make an enumeration, or return the one that is known by its token.

    Args:
        bases: Its bases.
        names: Its `__name__`, `__qualname__` and `__module__`.
        members: Its values by name.
        contents: What the built-in type under each member is made of, if its class has a
            `__new__` of its own.
        token: What it is known by.
    """
    kind: type | None = _DYNAMIC_CLASS_TRACKER_BY_ID.get(token)
    if kind is None:
        name, qualname, module = names
        if contents is None:
            kind = _make_skeleton_enum(bases, name, qualname, members, module, token, None)
        else:
            kind = _lookup_class_or_track(token, _new_enum(bases, name, members, contents))
            kind.__qualname__, kind.__module__ = qualname, module
        _unfilled.add(kind)
    return kind


def _new_enum(
    bases: tuple[Any, ...],
    name: str,
    members: dict[str, Any],
    contents: dict[str, tuple[Any, ...]],
) -> type:
    names = iter(members)

    def new_member(kind: Any, *_: object) -> Any:
        member_name = next(names)
        member = kind._member_type_.__new__(kind, *contents[member_name])
        member._value_ = members[member_name]
        return member

    metaclass: Any = type(bases[-1])
    scope = metaclass.__prepare__(name, bases)
    scope["__new__"] = new_member
    for member_name, value in members.items():
        scope[member_name] = value
    return cast("type", metaclass.__new__(metaclass, name, bases, scope))


def fill_class(kind: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Give a class its attributes, unless it is at home here.

    Args:
        kind: The class.
        state: Its attributes; and `names` that its annotations use, `modules` that its methods use,
            `subclasses` registered with an ABC, abstract classes that it is `registered_with`, its
            `reducer` of `copyreg`, its `source`, `members` with the attributes of each member of
            an enumeration.
    """
    attributes, others = state
    if kind in _unfilled:
        _copies.fill(kind, attributes)
        for subclass in others.get("subclasses", ()):
            kind.register(subclass)
        for name, values in others.get("members", {}).items():
            kind.__members__[name].__dict__.update(values)
        _unfilled.discard(kind)
    elif kind in _copies:
        _copies.update(kind, attributes)
    if kind in _copies:
        for abstract in others.get("registered_with", ()):
            abstract.register(kind)
        if "reducer" in others:
            copyreg.pickle(kind, others["reducer"])
        if "source" in others:
            source_lines.remember_class(kind, others["source"])
            note_loaded(kind.__name__, kind, {"__file__": others["source"][0]})
    note_loaded(kind.__name__, kind, others.get("names", {}))
