"""Profiling: where the time of a function went, as text."""

from __future__ import annotations

import cProfile
import io
import pstats
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_CHARACTERS: Final = 64_000


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
