"""Profile tables: the functions of a profiled job, by the time that they took."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from picloud_model.wire import ProfiledCall

MOST_ROWS: Final = 200
"""How many functions a table shows."""


class ProfiledFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function, how often it was called, and the seconds that it took without and with others."""

    name: str
    calls: int
    own_s: float
    total_s: float


ORDERS: Final[Mapping[str, Callable[[ProfiledFunction], float]]] = {
    "total": lambda each: each.total_s,
    "own": lambda each: each.own_s,
    "calls": lambda each: each.calls,
}
"""By what a table can be sorted, the largest first."""


def profile_table(calls: Sequence[ProfiledCall], order: str) -> list[ProfiledFunction]:
    """Return the functions of a profile.

    Args:
        calls: Which functions called which.
        order: One of `ORDERS`.

    >>> from picloud_model.wire import ProfiledCall
    >>> calls = [ProfiledCall("", "f", 1, 0.1, 1.0), ProfiledCall("f", "g", 9, 0.9, 0.9)]
    >>> [each.name for each in profile_table(calls, "own")]
    ['g', 'f']
    """
    by_name = defaultdict(list)
    for call in calls:
        by_name[call.function].append(call)
    functions = [
        ProfiledFunction(
            name=name,
            calls=sum(each.calls for each in found),
            own_s=sum(each.own_s for each in found),
            # A function that calls itself would count its time once for each level.
            total_s=sum(each.total_s for each in found if each.caller != name),
        )
        for name, found in by_name.items()
    ]
    functions.sort(key=lambda each: (-ORDERS[order](each), each.name))
    return functions[:MOST_ROWS]
