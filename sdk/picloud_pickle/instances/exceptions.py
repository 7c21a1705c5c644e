"""Exceptions of classes that set their attributes in their own way, or forbid it."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from picloud_pickle import rebuild


def own_state(error: Any, scope: Any) -> Any:
    """Return what the `__setstate__` of an exception's class takes: its attributes by default."""
    return error.__getstate__() if isinstance(type(error).__getstate__, FunctionType) else scope


def fill(error: Any, states: tuple[Any, dict[str, Any]]) -> None:
    """Give an exception what its class takes, and then the rest as its built-in class does."""
    own, others = states
    if own is not None:
        error.__setstate__(own)
    base: Any = rebuild.builtin_base(type(error))
    for name, value in others.items():
        base.__setattr__(error, name, value)
