"""Instances that Python's own way pickles, and loads as something else or not at all.

It calls `__new__` with what the class's built-in base takes, sets no attribute before all are
there, and takes `__class__` at its word.
"""

from __future__ import annotations

import copyreg
from contextlib import suppress
from enum import Enum
from types import FunctionType
from typing import Any, Final

from picloud_pickle import rebuild
from picloud_pickle.reference import PLAIN, lacks_setstate

_NEW_ARGUMENTS: Final = ("__getnewargs__", "__getnewargs_ex__")


def reduced(value: Any) -> Any:
    """Return the reduction of an instance, or NotImplemented where Python's own way is right."""
    kind = type(value)
    reduction = value.__reduce_ex__(5)
    make, arguments, state, items, pairs = (*reduction, None, None, None)[:5]
    if make is not copyreg.__newobj__:  # type: ignore[attr-defined]
        return NotImplemented
    if isinstance(value, dict) and getattr(value, "__dict__", None) is value:
        return make, arguments, True, None, pairs, fill_own_scope
    setter = rebuild.fill_object if lacks_setstate(kind) and state is not None else None
    if _is_made_otherwise(kind) or value.__class__ is not kind:
        return make_instance, arguments, state, items, pairs, setter
    if items is None and pairs is None and type(state) is dict and _is_hashed(kind):
        early, late = _split(state)
        if early and late:
            return make_with, (kind, early), late, None, None, setter
    return NotImplemented


def _is_made_otherwise(kind: Any) -> bool:
    """Whether a class has a `__new__` in Python, and does not say what that takes."""
    return isinstance(kind.__new__, FunctionType) and not any(
        isinstance(getattr(kind, name, None), FunctionType) for name in _NEW_ARGUMENTS
    )


def _is_hashed(kind: Any) -> bool:
    """Whether a class computes its hash itself, and leaves its attributes to pickle."""
    return isinstance(kind.__hash__, FunctionType) and not (
        hasattr(kind, "__setstate__") or isinstance(kind.__getstate__, FunctionType)
    )


def _split(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes that can be set at once, and those that may lead back to the object."""
    early = {name: value for name, value in state.items() if _is_plain(value)}
    return early, {name: value for name, value in state.items() if name not in early}


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is tuple or kind is frozenset:
        return all(map(_is_plain, value))
    return kind in PLAIN or isinstance(value, Enum)


def make_instance(kind: Any, *content: Any) -> Any:
    """Make an instance by its class's `__new__`, or without it where that makes something else.

    Args:
        kind: Its class.
        content: What the built-in type under it is made of, if that holds something itself.
    """
    base = rebuild.builtin_base(kind)
    with suppress(Exception):
        made = kind.__new__(kind, *content)
        if type(made) is kind and (not content or base.__eq__(made, *content) is True):
            return made
    return base.__new__(kind, *content)


def make_with(kind: Any, state: dict[str, Any]) -> Any:
    """Make an instance that has attributes before others are loaded, so that it can be hashed."""
    made = kind.__new__(kind)
    object.__getattribute__(made, "__dict__").update(state)
    return made


def fill_own_scope(value: Any, _state: object) -> None:
    """Give a dictionary itself as its attributes, as in `self.__dict__ = self`."""
    object.__setattr__(value, "__dict__", value)
