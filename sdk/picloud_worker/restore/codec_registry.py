"""Codecs that jobs register: Python cannot list them, so they are noted here."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    _Search = Callable[[str], Any]
    _Handler = Callable[[UnicodeError], Any]


class CodecRegistry:
    """What `codecs.register` and `codecs.register_error` were called with in this process.

    >>> registry = CodecRegistry()
    >>> registry.search_functions()
    []
    """

    def __init__(self) -> None:
        self._register, self._register_error = codecs.register, codecs.register_error
        self._functions: list[_Search] = []
        self._originals: dict[str, _Handler] = {}

    def install(self) -> None:
        """Note each registration from now on."""

        def register(search_function: _Search, /) -> None:
            self._register(search_function)
            self._functions.append(search_function)

        def register_error(errors: str, handler: _Handler, /) -> None:
            original = self._originals.get(errors) or _handler(errors)
            self._register_error(errors, handler)
            self._originals[errors] = original

        for original, noting in (
            (self._register, register),
            (self._register_error, register_error),
        ):
            noting.__module__, noting.__doc__ = "codecs", original.__doc__
            noting.__qualname__ = noting.__name__
            setattr(codecs, noting.__name__, noting)

    def search_functions(self) -> list[_Search]:
        """Return the functions that look for codecs, in the order of their registration."""
        return [*self._functions]

    def unregister(self, before: list[_Search]) -> None:
        """Unregister all functions but some."""
        for function in self._functions:
            if function not in before:
                codecs.unregister(function)
        self._functions[:] = before

    def handlers(self) -> dict[str, _Handler]:
        """Return the handlers that are registered in the place of others, or of none."""
        return {
            name: handler
            for name, original in self._originals.items()
            if (handler := codecs.lookup_error(name)) is not original
        }

    def restore_handlers(self, before: dict[str, _Handler]) -> None:
        """Have names refer to what they did before the latest registrations."""
        for name, original in self._originals.items():
            self._register_error(name, before.get(name, original))


def _handler(name: str) -> _Handler:
    """Return the handler of a name; one that raises what Python does if there is none."""
    try:
        return codecs.lookup_error(name)
    except LookupError as error:
        message = str(error)

    def unknown(_: UnicodeError) -> Any:
        raise LookupError(message)

    return unknown
