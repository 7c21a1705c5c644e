"""Checking that the iterables of a map end: an endless one would be read until memory is full."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from cloud.errors import CloudException, CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_BEYOND: Final = 100_000
"""How many items an iterable may have beyond the longest whose length is known."""
_CURE: Final = (
    "pass a constant as a keyword argument of map, or cut the iterable with itertools.islice"
)


def check_iterables(iterables: Sequence[Any], function: str = "map") -> None:
    """Refuse arguments of a map that are not iterables.

    Args:
        iterables: The arguments.
        function: What was called with them, for the message.

    Raises:
        CloudTypeError: When one is not, or there is none.

    >>> check_iterables([[1, 2], 5])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    cloud.CloudTypeError: Argument 2 of map must be an iterable, not 5; use cloud.call for ...
    """
    if not iterables:
        raise CloudTypeError(f"{function} needs a function and at least one iterable of arguments.")
    for number, items in enumerate(iterables, 1):
        if not hasattr(items, "__iter__") and not hasattr(items, "__getitem__"):
            if callable(items):
                raise CloudTypeError(
                    f"Argument {number} of {function} is a function: pass the function first and "
                    f"then its arguments, as in cloud.{function}(function, items)."
                )
            raise CloudTypeError(
                f"Argument {number} of {function} must be an iterable, not {items!r:.80}; "
                + ("use cloud.call for a single job." if function == "map" else "pass a list.")
            )


def check_ends(iterables: Sequence[Iterable[Any]]) -> None:
    """Refuse iterables that are known to be endless.

    Raises:
        CloudException: When one is.

    >>> check_ends([[1, 2], itertools.repeat(5)])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    cloud.CloudException: Argument 2 of map is endless, a repeat: pass a constant as a keyword ...
    """
    for number, items in enumerate(iterables, 1):
        if _is_endless(items):
            kind = type(items).__name__
            raise CloudException(f"Argument {number} of map is endless, a {kind}: {_CURE}.")


def _is_endless(items: object) -> bool:
    if isinstance(items, itertools.repeat):
        try:
            items.__length_hint__()
        except TypeError:  # it has no number of times
            return True
    return isinstance(items, itertools.count | itertools.cycle)


def most_items(iterables: Sequence[Iterable[Any]], most_jobs: int) -> int:
    """Return how many items a map may read until an iterable counts as endless.

    >>> most_items([range(5), iter("ab")], 10_000_000), most_items([range(5)], 10_000_000)
    (100005, 10000000)
    """
    lengths = [_length(items) for items in iterables]
    known = [length for length in lengths if length is not None]
    if not known or len(known) == len(lengths):
        return most_jobs
    return min(most_jobs, max(known) + MOST_BEYOND)


def too_many(iterables: Sequence[Iterable[Any]], count: int, most_jobs: int) -> CloudException:
    """Return the error for a map that has read as many items as it may."""
    if count == most_jobs:
        return CloudException(f"A map makes {most_jobs:,} jobs at most; split the arguments.")
    number = next(at for at, items in enumerate(iterables, 1) if _length(items) is None)
    return CloudException(
        f"Argument {number} of map has more than {count:,} items, {MOST_BEYOND:,} more than the "
        f"others, and seems to be endless: {_CURE}."
    )


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except Exception:  # noqa: BLE001 - an iterator has none, and an object's own may raise anything
        return None
