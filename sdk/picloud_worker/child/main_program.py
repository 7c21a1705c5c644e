"""The `__main__` of a job: it holds what travelled of the user's program, while the job runs.

Code that looks for a function or class by its name finds it there: pickle, so that a job can use a
process pool, `shelve` or `DataFrame.to_pickle` with its own objects, and `typing.get_type_hints`.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from picloud_pickle.reference import collect

_ABSENT: Final = object()


class MainProgram:
    """What of the user's program is in `__main__`."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}
        self._names: dict[str, Any] | None = None

    def collect(self, brought: dict[str, Any]) -> dict[str, Any]:
        """Begin to collect what is unpickled of a program.

        Args:
            brought: The functions of the job so far, by their tokens; others are added.

        Returns:
            A dictionary that is given what is unpickled, by name.
        """
        names: dict[str, Any] = {}
        collect(names, brought)
        return names

    def begin(self, names: dict[str, Any]) -> None:
        """Have `__main__` hold the names of a job's function, where they are free, and no others.

        Those of one function stay from one of its jobs to the next.
        """
        if names is not self._names:
            self.release()
            self.hold(names)
            self._names = names

    def hold(self, names: dict[str, Any]) -> None:
        """Put names into `__main__` as well, where they are free, until another job begins."""
        self._names = None
        scope = vars(sys.modules["__main__"])
        for name, value in names.items():
            if name not in scope or scope[name] is self._held.get(name, _ABSENT):
                scope[name] = self._held[name] = value

    def release(self) -> None:
        """Take out of `__main__` what is still there of it."""
        self._names = None
        if not self._held:
            return
        scope = vars(sys.modules["__main__"])
        for name, value in self._held.items():
            if scope.get(name) is value:
                del scope[name]
        self._held.clear()
