"""Ranges of jids: parsing, merging and counting."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""First and last jid, both included."""

MAX_JID: Final = 2**53 - 1
"""Jids stay exact in JSON and JavaScript."""


def collapse(jids: Iterable[int]) -> list[Range]:
    """Return jids as the fewest ranges, ascending; repeats count once.

    Args:
        jids: Job ids in any order.

    Returns:
        Ranges that do not touch each other, ascending.

    >>> collapse([3, 1, 2, 9, 2])
    [(1, 3), (9, 9)]
    >>> collapse(range(5, 8))
    [(5, 7)]
    """
    if isinstance(jids, range) and jids.step == 1:
        return [(jids.start, jids.stop - 1)] if jids else []
    ranges: list[Range] = []
    for jid in sorted(set(jids)):
        if ranges and jid == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], jid)
        else:
            ranges.append((jid, jid))
    return ranges


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the jids of some ranges as the fewest ranges, ascending.

    >>> merged([(7, 9), (1, 3), (2, 5), (6, 6)])
    [(1, 9)]
    """
    whole: list[Range] = []
    for first, last in sorted(ranges):
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = (whole[-1][0], max(last, whole[-1][1]))
        else:
            whole.append((first, last))
    return whole


def expand(ranges: Iterable[Range]) -> Iterator[int]:
    """Yield each jid of the ranges, in their order.

    >>> list(expand([(1, 3), (9, 9)]))
    [1, 2, 3, 9]
    """
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)


def count(ranges: Iterable[Range]) -> int:
    """Return how many jids the ranges hold.

    >>> count([(1, 3), (9, 9)])
    4
    """
    return sum(last - first + 1 for first, last in ranges)


def parse(text: str) -> list[Range]:
    """Parse jids as they are written on the command line: `1`, `1,2-5`.

    Args:
        text: Single jids and inclusive ranges, separated by commas.

    Returns:
        The ranges in the order written.

    Raises:
        RequestRefused: When a part is neither a jid nor an ascending range; it is named.

    >>> parse("1,2-5")
    [(1, 1), (2, 5)]
    """
    return [_part(part.strip()) for part in text.split(",")]


def format_jids(jids: range) -> str:
    """Return consecutive jids in the form that every command reads.

    >>> format_jids(range(7, 8)), format_jids(range(7, 10))
    ('7', '7-9')
    """
    return str(jids[0]) if len(jids) == 1 else f"{jids[0]}-{jids[-1]}"


def _part(part: str) -> Range:
    first, dash, last = part.partition("-")
    if not (first.isascii() and first.isdigit()) or (
        dash and not (last.isascii() and last.isdigit())
    ):
        message = f"{part!r} is not a valid job id: write jids like 7 or 7,9-12."
        raise RequestRefused(message, field="jids")
    low, high = int(first), int(last if dash else first)
    check(low, high)
    return low, high


def check(first: int, last: int) -> None:
    """Refuse a range that cannot name jobs.

    Raises:
        RequestRefused: When it does not ascend from 1 or goes past the largest jid.
    """
    if not 1 <= first <= last <= MAX_JID:
        if first < 1:
            message = f"{first} is not a valid job id: the first job of an account is 1."
        elif last < first:
            message = f"{first}-{last} is not a valid range of job ids: write the lower one first."
        else:
            message = f"{last} is not a valid job id: the largest is {MAX_JID:,}."
        raise RequestRefused(message, field="jids")
