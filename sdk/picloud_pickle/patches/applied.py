"""Makes the patches of a program in a process, and undoes them."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_pickle.patches.codec_table import CodecTable

if TYPE_CHECKING:
    from collections.abc import Iterable

_ABSENT: Final = object()


class Patch(NamedTuple):
    """A value that a program has put into a class, table or module of others, by a name.

    A list of others has it without a name, a table of codecs by a name of its own, and a context
    variable of the program has it as its value. What a load has put there itself, where nothing
    was before, is `loaded`.
    """

    owner: Any
    name: Any
    value: Any
    loaded: bool = False


class AppliedPatches:
    """The patches that are made in this process at present.

    >>> table = {"a": 1}
    >>> applied = AppliedPatches()
    >>> applied.make([Patch(table, "a", 2), Patch(table, "b", 3)])
    >>> table, applied.include(table, "a"), applied.include(table, "c")
    ({'a': 2, 'b': 3}, True, False)
    >>> applied.undo()
    >>> table
    {'a': 1}
    """

    def __init__(self) -> None:
        self._made: list[tuple[Patch, Any]] = []

    def include(self, owner: Any, key: Any) -> bool:
        """Whether an entry of a table was made here; that of a list is known by its id."""
        return any(patch.owner is owner and _key(patch) == key for patch, _ in self._made)

    def make(self, patches: Iterable[Patch]) -> None:
        """Make patches; one that its owner refuses is left out."""
        for patch in patches:
            before = _present(patch)
            if before is patch.value and patch.loaded:
                self._made.append((patch, _ABSENT))
            elif before is not patch.value:
                with suppress(Exception):  # a class may forbid it
                    token = _put(patch.owner, patch.name, patch.value)
                    self._made.append((patch, before if token is None else token))

    def undo(self) -> None:
        """Put back what was there before, except where something else has been put since."""
        while self._made:
            patch, before = self._made.pop()
            if _present(patch) is not patch.value:
                continue
            if type(patch.owner) is list:
                patch.owner[:] = [each for each in patch.owner if each is not patch.value]
            elif type(patch.owner) is ContextVar:
                patch.owner.reset(before)
            elif type(patch.owner) is CodecTable:
                patch.owner.remove(patch.name, None if before is _ABSENT else before)
            else:
                _put(patch.owner, patch.name, before)


def _key(patch: Patch) -> Any:
    return id(patch.value) if type(patch.owner) is list else patch.name


def _present(patch: Patch) -> Any:
    owner = patch.owner
    if type(owner) is list:
        return patch.value if any(each is patch.value for each in owner) else _ABSENT
    if type(owner) is ContextVar:
        return owner.get(_ABSENT)
    if type(owner) is CodecTable:
        return owner.get(patch.name, _ABSENT)
    return (owner if type(owner) is dict else vars(owner)).get(patch.name, _ABSENT)


def _put(owner: Any, name: Any, value: Any) -> Token[Any] | None:
    if type(owner) is ContextVar:
        return owner.set(value)
    if type(owner) is list:
        owner.append(value)
    elif type(owner) is CodecTable:
        owner.put(name, value)
    elif type(owner) is not dict:
        if value is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, value)
    elif value is _ABSENT:
        del owner[name]
    else:
        owner[name] = value
    return None
