"""What an import changes in a setting stays, also if the job had changed the same setting before.

A library that adds a handler to a logger, a filter to warnings or a variable to the environment
does so once, when it is imported. What the job has done there goes with the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, Final

from picloud_worker.restore.logger_settings import LoggerState

_ABSENT: Final = object()


def with_changes(before: Any, earlier: Any, later: Any) -> Any:
    """Return the value to restore, with what an import has changed.

    Mappings are compared by their keys, tuples by their places; to lists things are added.

    Args:
        before: The value that was to be restored so far.
        earlier: The value in the middle of the job, before the import.
        later: The value after the import.

    >>> with_changes(["first"], ["of the job", "first"], ["of a module", "of the job", "first"])
    ['of a module', 'first']
    >>> with_changes({}, {"job": 1, "both": 1}, {"job": 1, "both": 2, "module": 3})
    {'module': 3}
    """
    if later == earlier:
        return before
    if earlier == before:
        return later
    values = (before, earlier, later)
    if isinstance(later, LoggerState):
        return _logger(*values)
    if all(type(each) is list for each in values):
        return _list(*values)
    if all(type(each) is tuple and len(each) == len(later) for each in values):
        return tuple(with_changes(*each) for each in zip(*values, strict=True))
    return _mapping(*values) if all(isinstance(each, Mapping) for each in values) else before


def _mapping(*values: Mapping[Any, Any]) -> dict[Any, Any]:
    names = dict.fromkeys(name for each in values for name in each)
    merged = {name: with_changes(*(each.get(name, _ABSENT) for each in values)) for name in names}
    return {name: value for name, value in merged.items() if value is not _ABSENT}


def _logger(*values: Any) -> Any:
    """Merge the states of a logger, which are absent where nothing is set on it."""
    before, earlier, later = (LoggerState() if each is _ABSENT else each for each in values)
    flags = [with_changes(*each) for each in zip(before[:3], earlier[:3], later[:3], strict=True)]
    handlers = _list([*before.handlers], [*earlier.handlers], [*later.handlers])
    filters = _list([*before.filters], [*earlier.filters], [*later.filters])
    merged = LoggerState._make([*flags, (*handlers,), (*filters,)])
    return _ABSENT if merged == LoggerState() else merged


def _list(before: list[Any], earlier: list[Any], later: list[Any]) -> list[Any]:
    first = [*takewhile(lambda each: each not in earlier, later)]
    last = [each for each in later[len(first) :] if each not in earlier]
    kept = [each for each in before if each in later or each not in earlier]
    return [*first, *(each for each in kept if each not in first and each not in last), *last]
