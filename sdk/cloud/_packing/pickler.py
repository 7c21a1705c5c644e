"""The pickler of the SDK: it also notes which modules the code it sends imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import picloud_pickle

from cloud._packing.import_scan import imported
from cloud._packing.values import PICKLING

if TYPE_CHECKING:
    from types import CodeType, FunctionType


_imports: WeakKeyDictionary[CodeType, tuple[str, set[str]]] = WeakKeyDictionary()
"""What code imports, with the package that its relative imports start from."""


class ScanningPickler(picloud_pickle.Pickler):
    """Adds to `modules` what functions that travel by value import when they run."""

    for_jobs = True

    def note_function(self, function: FunctionType) -> None:
        """Add the imports of a function."""
        code, package = function.__code__, _package(function.__globals__)
        cached = _imports.get(code)
        if cached is None or cached[0] != package:
            cached = _imports[code] = package, imported(code, package)
        self.modules |= cached[1]


class ArrayPickler(ScanningPickler):
    """Pickles the arrays of NumPy as the needs of the arguments say."""

    def reducer_override(self, value: Any) -> Any:
        """Ask about arrays first."""
        kind = type(value)
        if kind.__name__ == "ndarray" and kind.__module__ == "numpy":
            needs = PICKLING.needs
            if needs is not None and needs.arrays is not None:
                reduced = needs.arrays(value)
                if reduced is not NotImplemented:
                    return reduced
        return super().reducer_override(value)


def _package(scope: dict[str, Any]) -> str:
    """Return the package in which a function's relative imports start."""
    package = scope.get("__package__")
    if package is None:
        name = scope.get("__name__") or ""
        package = name if "__path__" in scope else name.rpartition(".")[0]
    return str(package)
