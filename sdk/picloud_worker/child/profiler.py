"""Profiling: where the time of a function went, as text."""

from __future__ import annotations

import cProfile
import io
import pstats
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire import ProfiledCall

from picloud_worker.ipc.frames import JobProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType

MOST_CHARACTERS: Final = 64_000
MOST_CALLS: Final = 1_000
"""How many pairs of a caller and a function are kept: those that took most time."""


class Profiler:
    """Profiles one call; `text` is there after it, however it ended."""

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call the function and answer what it returns."""
        # Not `runcall`: its frame would show in the traceback of the user's exception.
        self._profile.enable()
        try:
            return function(*args, **kwargs)
        finally:
            self._profile.disable()

    def text(self) -> str:
        """Return the functions that took most time, with what they called, first."""
        out = io.StringIO()
        pstats.Stats(self._profile, stream=out).sort_stats("cumulative").print_stats()
        return out.getvalue()[:MOST_CHARACTERS]

    def result(self) -> JobProfile:
        """Return the text and the calls."""
        return JobProfile(self.text(), self.calls())

    def calls(self) -> list[ProfiledCall]:
        """Return which functions called which, those first that took most time."""
        # Not those of `pstats`: of two functions in one line with one name it has the last.
        called: dict[tuple[str, str], _Count] = defaultdict(_Count)
        outermost: dict[str, _Count] = defaultdict(_Count)
        for entry in self._profile.getstats():
            name = _name(entry.code)
            outermost[name].add(entry)
            for each in entry.calls or ():
                called[name, _name(each.code)].add(each)
        for _, function in called:
            outermost.pop(function, None)
        called |= {("", function): count for function, count in outermost.items()}
        calls = [
            ProfiledCall(
                caller=caller,
                function=function,
                calls=count.calls,
                own_s=round(count.own_s, 6),
                total_s=round(count.total_s, 6),
            )
            for (caller, function), count in called.items()
        ]
        return sorted(calls, key=lambda call: -call.total_s)[:MOST_CALLS]


class _Count:
    """How often a function was called, and for how many seconds, without and with others."""

    def __init__(self) -> None:
        self.calls = 0
        self.own_s = self.total_s = 0.0

    def add(self, entry: Any) -> None:
        self.calls += entry.callcount
        self.own_s += entry.inlinetime
        self.total_s += entry.totaltime


def _name(code: CodeType | str) -> str:
    """Return a function as `pstats` prints it."""
    return pstats.func_std_string(cProfile.label(code))  # type: ignore[attr-defined, no-any-return]
