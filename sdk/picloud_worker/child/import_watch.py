"""Tells when modules are imported: what an import has set stays for all jobs of the interpreter.

An import happens once. A filter of warnings or a variable that a module sets for itself would be
missed by the second job, if it were restored as something that the first job has left.
"""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class ImportWatch:
    """A finder for `sys.meta_path`, which watches what the other finders there find.

    Args:
        begin: Called with the name of a module before that is executed, except for one that another
            imports.
        end: Called after it with what `begin` returned.
        imported: By name of a module, what is called when it was executed.
    """

    def __init__(
        self,
        begin: Callable[[str], Any],
        end: Callable[[Any], None],
        imported: Mapping[str, Callable[[], None]],
    ) -> None:
        self._begin = begin
        self._end = end
        self._imported = imported
        self._depth = 0
        self._searching = False

    def install(self) -> None:
        """Watch the imports of this process from now on."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec that the other finders find, with a loader that calls back."""
        if self._searching or (self._depth and name not in self._imported):
            return None
        self._searching = True
        try:
            spec = self._found(name, path, target)
        finally:
            self._searching = False
        # Other loaders may be shared by modules.
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            self._execute(execute, module, name)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _found(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in [*sys.meta_path]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None
            if find is not None and finder is not self:
                spec = find(name, path, target)
            if spec is not None:
                return spec
        return None

    def _execute(
        self, execute: Callable[[ModuleType], None], module: ModuleType, name: str
    ) -> None:
        before = self._begin(name) if not self._depth else None
        self._depth += 1
        try:
            execute(module)
        finally:
            self._depth -= 1
            if not self._depth:
                self._end(before)
        if name in self._imported:
            self._imported[name]()
