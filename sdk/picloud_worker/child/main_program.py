"""The `__main__` of a job: it holds what travelled of the user's program, while the job runs.

Code that looks for a function or class by its name finds it there: pickle, so that a job can use a
process pool, `shelve` or `DataFrame.to_pickle` with its own objects, and `typing.get_type_hints`.
"""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

from picloud_pickle.patches.applied import AppliedPatches, Patch
from picloud_pickle.reference import collect

_ABSENT: Final = object()


class Loaded(NamedTuple):
    """What loads have brought of a program: values by name, and what it has put into modules."""

    names: dict[str, Any]
    patches: list[Patch]


class MainProgram:
    """What of the user's program is in `__main__`, and in the modules that it has patched."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}
        self._changes = AppliedPatches()
        self._loaded: Loaded | None = None

    def collect(self, brought: dict[str, Any]) -> Loaded:
        """Begin to collect what is unpickled of a program.

        Args:
            brought: The functions of the job so far, by their tokens; others are added.

        Returns:
            What is given all that is unpickled.
        """
        loaded = Loaded({}, [])
        collect(loaded.names, brought, loaded.patches)
        return loaded

    def begin(self, loaded: Loaded) -> None:
        """Have `__main__` hold what a job's function brought, where names are free, and no others.

        What one function brought stays from one of its jobs to the next.
        """
        if loaded is not self._loaded:
            self.release()
            self.hold(loaded)
            self._loaded = loaded

    def hold(self, loaded: Loaded) -> None:
        """Put names into `__main__` as well, where they are free, until another job begins."""
        self._loaded = None
        scope = vars(sys.modules["__main__"])
        for name, value in loaded.names.items():
            if name not in scope or scope[name] is self._held.get(name, _ABSENT):
                scope[name] = self._held[name] = value
        self._changes.make(loaded.patches)

    def is_patched(self, owner: Any, key: Any) -> bool:
        """Whether an entry of a module's table belongs to the program of the present job."""
        return self._changes.include(owner, key)

    def release(self) -> None:
        """Take out of `__main__` what is still there of it, and undo the patches."""
        self._loaded = None
        self._changes.undo()
        if not self._held:
            return
        scope = vars(sys.modules["__main__"])
        for name, value in self._held.items():
            if scope.get(name) is value:
                del scope[name]
        self._held.clear()
