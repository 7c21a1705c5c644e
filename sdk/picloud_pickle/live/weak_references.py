"""Weak references and proxies travel with their target, as in trees whose nodes know a parent."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from picloud_pickle.reference import Unsendable, note_brought

if TYPE_CHECKING:
    from picloud_pickle.reference import PicklingContext


class _Gone:
    """The target of references whose own one is gone."""


def reduced(context: PicklingContext, value: Any) -> Any:
    """Return the reduction of a `weakref.ref`, `WeakMethod` or `proxy`.

    Raises:
        Unsendable: For a `weakref.finalize`, of which a copy would never be called.
    """
    context.modules.add("weakref")
    kind = type(value)
    if kind is weakref.finalize:
        raise Unsendable(
            "is a weakref.finalize, which cannot be pickled; create it inside the function"
        )
    if kind is weakref.WeakMethod:
        return make_method_reference, (value(),)
    if kind is weakref.ReferenceType:
        return make_reference, (value(), value.__callback__)
    try:
        target = value.__repr__.__self__
    except ReferenceError:
        target = None
    return make_proxy, (target,)


def make_reference(target: Any, callback: Any) -> Any:
    """Return a reference to a target, or a dead one for None.

    A job keeps the target alive, which may have come with the reference alone.
    """
    return weakref.ref(_held(target), callback)


def make_method_reference(method: Any) -> Any:
    """Return a reference to a bound method, or a dead one for None."""
    return weakref.WeakMethod(_Gone().__repr__ if method is None else method)


def make_proxy(target: Any) -> Any:
    """Return a proxy of a target, or a dead one for None."""
    return weakref.proxy(_held(target))


def _held(target: Any) -> Any:
    if target is None:
        return _Gone()
    note_brought(f"target {id(target)}", target)
    return target
