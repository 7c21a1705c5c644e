"""Copies of classes: which attributes the last load gave them, to see what their sender changes."""

from __future__ import annotations

import functools
import io
import pickle
from hashlib import blake2b
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

_PLAIN: Final = frozenset((int, float, str, bytes, bool, complex, type(None)))
_CACHE: Final = type(functools.lru_cache(len))
_UNKNOWN: Final = "unknown"


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
        """Whether a class has an attribute from a copy, be it itself or one of its bases."""
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
    # A metaclass of the program's may forbid it; those of ctypes make the fields.
    if any(base.__module__ == "_ctypes" for base in type(kind).__mro__):
        setattr(kind, name, value)
    else:
        type.__setattr__(kind, name, value)


def _is_function(value: Any) -> bool:
    return _functions(value) != () and type(value) is not _CACHE


def _functions(value: Any) -> tuple[Any, ...]:
    """The functions inside a function, property, class method or other descriptor."""
    if isinstance(value, FunctionType):
        return (value,)
    names = ("fget", "fset", "fdel", "__func__", "func", "__wrapped__")
    inner = (getattr(value, name, None) for name in names)
    return tuple(each for each in inner if isinstance(each, FunctionType))


def _token(name: str, value: Any) -> object:
    """What stays equal while an attribute stays as it is."""
    kind = type(value)
    if kind in _PLAIN:
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
    """What stays equal while a cached function computes the same."""
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
