"""Profiling: where the time of a function went, as text."""

from __future__ import annotations

import cProfile
import io
import pstats
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire import ProfiledCall

from picloud_worker.ipc.frames import JobProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        found = []
        for function, (_, count, own_s, total_s, callers) in self._stats().items():
            if not callers:
                found.append(_call("", function, count, own_s, total_s))
            for caller, (calls, _, own, total) in callers.items():
                found.append(_call(_name(caller), function, calls, own, total))
        found.sort(key=lambda call: -call.total_s)
        return found[:MOST_CALLS]

    def _stats(self) -> dict[tuple[str, int, str], Any]:
        self._profile.create_stats()
        stats: dict[tuple[str, int, str], Any] = self._profile.stats
        return stats


def _call(
    caller: str, function: tuple[str, int, str], calls: int, own_s: float, total_s: float
) -> ProfiledCall:
    return ProfiledCall(
        caller=caller,
        function=_name(function),
        calls=calls,
        own_s=round(own_s, 6),
        total_s=round(total_s, 6),
    )


def _name(function: tuple[str, int, str]) -> str:
    """Return a function as `pstats` prints it."""
    return pstats.func_std_string(function)  # type: ignore[attr-defined, no-any-return]
