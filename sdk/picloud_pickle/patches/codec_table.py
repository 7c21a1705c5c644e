"""Codecs and handlers of coding errors that a program has registered, which its jobs have as well.

Only text names them, as in `text.encode("mine")`: they go with each function that travels by value.
"""

from __future__ import annotations

import codecs
import encodings
import gc
import sys
import threading
import warnings

# A job may have others in `codecs`, which note what it registers itself.
from _codecs import lookup_error, register, register_error, unregister
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    _Handler = Callable[[UnicodeError], Any]

_OF_PYTHON: Final = frozenset(
    (
        *("strict", "ignore", "replace", "xmlcharrefreplace", "backslashreplace", "namereplace"),
        *("surrogatepass", "surrogateescape"),
    )
)
_REGISTERING: Final = frozenset(
    map(id, (codecs, codecs.register, codecs.register_error, register, register_error))
)


class CodecTable:
    """The codecs that a program has registered in this process; the owner of patches.

    A search function has itself as its name here, and a handler of errors its name in Python.
    """

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._of_main = 0
        self._registers = False
        self._tables: tuple[list[Any], dict[str, Any]] | None = None
        self._lock = threading.RLock()
        self._trying = False
        self._tried: dict[int, tuple[Any, bool]] = {}

    def __reduce__(self) -> str:
        return "CODECS"

    def get(self, name: Any, default: Any) -> Any:
        """Return what is registered by a name."""
        if type(name) is not str:
            return self._made.get(name, default)
        try:
            return lookup_error(name)
        except LookupError:
            return default

    def put(self, name: Any, value: Any) -> None:
        """Register something for a job."""
        self._made[name] = value
        if type(name) is str:
            register_error(name, value)
        else:
            register(value)

    def remove(self, name: Any, before: _Handler | None) -> None:
        """Have a name stand for nothing again, or for what handled the error before."""
        del self._made[name]
        if type(name) is not str:
            unregister(name)
            return

        def unknown(_: UnicodeError) -> Any:
            msg = f"unknown error handler name '{name}'"
            raise LookupError(msg)

        register_error(name, before or unknown)

    def of_program(self, pickler: Any) -> dict[Any, Any]:
        """Return what the program has registered, by its name here.

        Args:
            pickler: The class of the pickler that it is sent by.
        """
        if not self._is_used():
            return self._made
        from picloud_pickle.patches import search  # noqa: PLC0415 - most programs have no codecs

        functions, handlers = self._tables = self._tables or _tables()
        found = {each: each for each in functions if search.is_of_program(each)}
        for name, each in handlers.items():
            renamed = name not in _OF_PYTHON and type(each) is BuiltinFunctionType
            if renamed or search.is_of_program(each):
                found[name] = each
        return {
            name: each for name, each in found.items() if self._can_travel(each, pickler)
        } | self._made

    def _can_travel(self, value: Any, pickler: Any) -> bool:
        """Whether a value can be pickled: one that cannot is left out, with a warning."""
        with self._lock:
            if self._trying:
                return False  # in the pickle of the one that is being tried
            if id(value) not in self._tried:
                self._trying = True
                try:
                    self._tried[id(value)] = (value, _is_sent(value, pickler))
                finally:
                    self._trying = False
            return self._tried[id(value)][1]

    def _is_used(self) -> bool:
        """Whether the main program knows how to register a codec: to look for them takes longer."""
        scope = sys.modules["__main__"].__dict__
        if not self._registers and len(scope) != self._of_main:
            self._of_main = len(scope)
            self._registers = not _REGISTERING.isdisjoint(map(id, [*scope.values()]))
        return self._registers


CODECS: Final = CodecTable()


def _is_sent(value: Any, pickler: Any) -> bool:
    try:
        pickler().pickled(value)
    except Exception as error:  # noqa: BLE001 - whatever its parts raise
        name = getattr(value, "__qualname__", type(value).__qualname__)
        warnings.warn(
            f"{name}, which is registered with codecs, cannot be sent: {error}. Jobs will not know "
            "its encodings.",
            stacklevel=2,
        )
        return False
    return True


def _tables() -> tuple[list[Any], dict[str, Any]]:
    """Return what Python itself finds codecs and handlers in, as it shows them nowhere."""
    functions: list[list[Any]] = [
        each
        for each in gc.get_referrers(encodings.search_function)
        if type(each) is list and each and each[0] is encodings.search_function
    ]
    handlers: list[dict[str, Any]] = [
        each
        for each in gc.get_referrers(codecs.strict_errors)
        if type(each) is dict and each.get("strict") is codecs.strict_errors
    ]
    return functions[0] if functions else [], handlers[0] if handlers else {}
