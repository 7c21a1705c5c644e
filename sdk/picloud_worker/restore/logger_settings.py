"""What jobs may set on loggers other than the root: handlers, filters, levels, whether they are on.

All loggers are looked at only after a handler was made or a level set: libraries make hundreds of
them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SEEN: Final = "seen by picloud"
"""A key in a cache of the root logger that Python clears when the level of any logger is set."""


class LoggerState(NamedTuple):
    """What is set on one logger."""

    level: int = logging.NOTSET
    propagate: bool = True
    disabled: bool = False
    handlers: tuple[Any, ...] = ()
    filters: tuple[Any, ...] = ()


_UNCHANGED: Final = LoggerState()


class LoggerSettings:
    """The loggers of this process, except for the root.

    >>> settings = LoggerSettings()
    >>> before = settings.read()
    >>> logging.getLogger("of.a.job").addHandler(handler := logging.NullHandler())
    >>> settings.read() == before
    False
    >>> settings.restore(before)
    >>> settings.read() is before
    True
    """

    def __init__(self) -> None:
        self._module: Any = logging  # as it names neither its handlers nor its cache in public
        self._root: Any = logging.getLogger()
        self._handlers: list[Any] = []
        self._states: Mapping[str, LoggerState] = {}

    def read(self) -> Mapping[str, LoggerState]:
        """Return what is set, by the name of the logger; the same object while nothing changes."""
        cache = self._root._cache  # noqa: SLF001
        if _SEEN not in cache or self._module._handlerList != self._handlers:  # noqa: SLF001
            self._handlers = [*self._module._handlerList]  # noqa: SLF001
            cache[_SEEN] = True
            states = {name: state for name, _, state in self._loggers() if state != _UNCHANGED}
            if states != self._states:
                self._states = states
        return self._states

    def restore(self, before: Mapping[str, LoggerState]) -> None:
        """Set on each logger what was set before, and nothing on those that have come since."""
        for name, logger, now in self._loggers():
            state = before.get(name, _UNCHANGED)
            if now != state:
                logger.level, logger.propagate, logger.disabled = state[:3]
                logger.handlers[:] = state.handlers
                logger.filters[:] = state.filters
        self._states = before
        self._root.setLevel(self._root.level)  # which clears the caches of all loggers

    def _loggers(self) -> Iterator[tuple[str, logging.Logger, LoggerState]]:
        for name, logger in [*self._root.manager.loggerDict.items()]:
            if isinstance(logger, logging.Logger):
                handlers, filters = (*logger.handlers,), (*logger.filters,)
                state = logger.level, logger.propagate, logger.disabled, handlers, filters
                yield name, logger, LoggerState(*state)
