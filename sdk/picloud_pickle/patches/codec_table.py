"""Codecs and handlers of coding errors that a program has registered, which its jobs have as well.

Only text names them, as in `text.encode("mine")`: they go with each function that travels by value.
"""

from __future__ import annotations

import codecs
import encodings
import gc
import sys

# A job may have others in `codecs`, which note what it registers itself.
from _codecs import lookup_error, register, register_error, unregister
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    _Handler = Callable[[UnicodeError], Any]

_ABSENT: Final = object()
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

    def of_program(self) -> dict[Any, Any]:
        """Return what the program has registered, by its name here."""
        if not self._is_used():
            return self._made
        from picloud_pickle.patches import search  # noqa: PLC0415 - most programs have no codecs

        functions, handlers = self._tables = self._tables or _tables()
        found = {each: each for each in functions if search.is_of_program(each)}
        found |= {name: each for name, each in handlers.items() if search.is_of_program(each)}
        return found | self._made

    def _is_used(self) -> bool:
        """Whether the main program knows how to register a codec: to look for them takes longer."""
        scope = sys.modules["__main__"].__dict__
        if not self._registers and len(scope) != self._of_main:
            self._of_main = len(scope)
            self._registers = not _REGISTERING.isdisjoint(map(id, [*scope.values()]))
        return self._registers


CODECS: Final = CodecTable()


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
