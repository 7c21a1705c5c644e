"""The pickler: cloudpickle's, which also takes open files and notes which modules it leans on."""

from __future__ import annotations

import io
import pickle
from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

import cloudpickle

from cloud._packing import file_objects
from cloud._packing.import_scan import imported

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL: Final = 5
_STREAM: Final = cast("type[io.IOBase]", io.IOBase.__base__)
"""The C class under every stream: `io.IOBase` itself is an ABC, six times slower to ask."""


class _Sink(list[bytes]):
    write = list.append


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles one value after another; not for two threads at once.

    After an exception it is worthless: make another one.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self.modules: set[str] = set()
        super().__init__(self._sink, protocol=PROTOCOL)

    def pickled(self, value: object) -> bytes:
        """The pickle of a value; what it needs imported is added to `modules`."""
        self.dump(value)
        data = b"".join(self._sink)
        self._sink.clear()
        # Both know objects by their ids, which another value may get again.
        self.clear_memo()
        self.globals_ref.clear()
        return data

    def reducer_override(self, value: Any) -> Any:
        """Asked by the C pickler for every object but plain data."""
        kind = type(value)
        if kind is FunctionType:
            reduction = super().reducer_override(value)
            if reduction is NotImplemented:
                self.modules.add(value.__module__ or _searched(value))
            else:
                self.modules |= imported(value.__code__, _package(value.__globals__))
            return reduction
        if issubclass(kind, type):
            reduction = super().reducer_override(value)
            if reduction is NotImplemented:
                self.modules.add(value.__module__)
            return reduction
        if issubclass(kind, _STREAM):
            return file_objects.reduced(value)
        if issubclass(kind, ModuleType):
            name = value.__name__
            self.modules.add(name)
            # cloudpickle knows modules by their exact type, which lazy ones do not have.
            return NotImplemented if kind is ModuleType else (import_module, (name,))
        # An object that pickles as the name of a global leans on a module like its class does.
        self.modules.add(kind.__module__)
        return NotImplemented


def _searched(function: FunctionType) -> str:
    """The module a function without `__module__` is found in, as the C pickler finds it."""
    whichmodule: Callable[[object, str], str] = vars(pickle)["whichmodule"]
    return whichmodule(function, function.__qualname__)


def _package(scope: dict[str, Any]) -> str:
    """The package in which a function's relative imports start."""
    package = scope.get("__package__")
    if package is None:
        name = scope.get("__name__") or ""
        package = name if "__path__" in scope else name.rpartition(".")[0]
    return str(package)
