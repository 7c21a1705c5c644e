"""What the programs of the corpus use: checks of what functions do in a job.

A program calls `check` for each case, `finish` at its end, and prints which cases failed and how.
All cases run at the same time, each in a job of its own.
"""

from __future__ import annotations

import json
import re
import traceback
from typing import TYPE_CHECKING, Any, Final

import cloud
from cloud import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S: Final = 120.0
_waiting: dict[str, tuple[int, Callable[[Any], object]]] = {}
_failures: dict[str, str] = {}
_passed: list[str] = []


class Same:
    """Holds for results that equal a value, and are of its type."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, result: Any) -> bool:
        return type(result) is type(self.value) and bool(result == self.value)


def check(
    name: str,
    function: Callable[..., Any],
    *args: Any,
    want: Any = None,
    holds: Callable[[Any], object] | None = None,
    **keywords: Any,
) -> None:
    """Run a function in a job; its result must equal `want`, or `holds` must be true of it."""
    assert name not in _waiting, name
    assert name not in _failures, name
    try:
        jid = cloud.call(function, *args, **keywords)
    except BaseException as error:
        _failures[name] = f"not sent: {type(error).__name__}: {error}"
    else:
        _waiting[name] = jid, holds or Same(want)


def travels(name: str, value: Any, holds: Callable[[Any], object]) -> None:
    """Check a value as an argument, as part of a function, and as a result."""
    check(f"{name}, as an argument", lambda given: bool(holds(given)), value, want=True)
    check(f"{name}, of a function", lambda: bool(holds(value)), want=True)
    check(f"{name}, as a result", lambda given: given, value, holds=holds)


def refused(name: str, function: Callable[..., Any], *args: Any, message: str) -> None:
    """A call must be refused by a CloudException whose text matches a pattern."""
    try:
        cloud.call(function, *args)
    except CloudException as error:
        if re.search(message, str(error)):
            _passed.append(name)
        else:
            _failures[name] = f"refused with other words: {error}"
    except BaseException as error:
        _failures[name] = f"refused by {type(error).__name__}: {error}"
    else:
        _failures[name] = "not refused"


def fails(
    name: str, function: Callable[..., Any], *args: Any, message: str, **keywords: Any
) -> None:
    """A job must fail, with an error whose text matches a pattern."""

    def holds(outcome: Any) -> object:
        return isinstance(outcome, CloudException) and re.search(message, str(outcome))

    check(name, function, *args, holds=holds, **keywords)


def that(name: str, condition: object) -> None:
    """A condition must hold in the program itself."""
    if condition:
        _passed.append(name)
    else:
        _failures[name] = "does not hold"


def finish() -> None:
    """Wait for all jobs and print what failed."""
    for name, (jid, holds) in _waiting.items():
        try:
            try:
                result = cloud.result(jid, timeout=TIMEOUT_S)
            except CloudException as error:
                result = error
            if holds(result):
                _passed.append(name)
            else:
                _failures[name] = f"{type(result).__name__}: {result!r}"[:3000]
        except BaseException:
            _failures[name] = traceback.format_exc()[-3000:]
    print(json.dumps({"passed": _passed, "failures": _failures}))
