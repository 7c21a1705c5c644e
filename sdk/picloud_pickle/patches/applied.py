"""Makes the patches of a program in a process, and undoes them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABSENT: Final = object()


class Patch(NamedTuple):
    """A value that a program has put into a class, table or module of others, by a name."""

    owner: Any
    name: Any
    value: Any


class AppliedPatches:
    """The patches that are made in this process at present.

    >>> table = {"a": 1}
    >>> applied = AppliedPatches()
    >>> applied.make([Patch(table, "a", 2), Patch(table, "b", 3)])
    >>> table
    {'a': 2, 'b': 3}
    >>> applied.undo()
    >>> table
    {'a': 1}
    """

    def __init__(self) -> None:
        self._made: list[tuple[Patch, Any]] = []

    def make(self, patches: Iterable[Patch]) -> None:
        """Make patches; one that its owner refuses is left out."""
        for patch in patches:
            before = _scope(patch.owner).get(patch.name, _ABSENT)
            if before is not patch.value:
                with suppress(Exception):  # a class may forbid it
                    _put(patch.owner, patch.name, patch.value)
                    self._made.append((patch, before))

    def undo(self) -> None:
        """Put back what was there before, except where something else has been put since."""
        while self._made:
            patch, before = self._made.pop()
            if _scope(patch.owner).get(patch.name) is patch.value:
                _put(patch.owner, patch.name, before)


def _scope(owner: Any) -> Any:
    return owner if type(owner) is dict else vars(owner)


def _put(owner: Any, name: Any, value: Any) -> None:
    if type(owner) is not dict:
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    elif value is _ABSENT:
        del owner[name]
    else:
        owner[name] = value
