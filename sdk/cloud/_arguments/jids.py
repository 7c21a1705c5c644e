"""Jids as users pass them: one, or any iterable of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model import ranges
from picloud_model.job import MAX_JOBS
from picloud_model.ranges import MAX_JID

from cloud._arguments.handles import OwnedJid, OwnedJids
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from picloud_model.ranges import Range

    from cloud._arguments.handles import Owner

MOST_RANGES: Final = 2000
"""Most ranges in one request; a map with many gaps needs several requests."""


class JidList(NamedTuple):
    """The jids that a user passed, in their order; `single` if it was one jid, not a sequence."""

    order: range | list[int]
    single: bool

    def portions(self) -> Iterator[list[Range]]:
        """Yield the ranges for each request, in ascending order and without repetitions."""
        return portions(ranges.collapse(self.order))


def read_jids(jids: object, owner: Owner | None = None) -> JidList:
    """Read what a user passed as `jids`.

    Args:
        jids: One jid, or an iterable of jids, ranges or both.
        owner: The client that is to be asked about them; None if the jids of any are accepted.

    Raises:
        CloudException: When it is neither a jid nor an iterable of jids, or they are those of jobs
            that the client of another server or key made.

    >>> read_jids(7)
    JidList(order=range(7, 8), single=True)
    >>> read_jids((2, 1))
    JidList(order=[2, 1], single=False)
    >>> read_jids([range(5, 8), 2])
    JidList(order=[5, 6, 7, 2], single=False)
    >>> read_jids("7")
    Traceback (most recent call last):
        ...
    cloud.CloudTypeError: jids must be whole numbers from 1, or an iterable of them, not '7'.
    """
    if isinstance(jids, (range, OwnedJids)):
        return JidList(_range(jids, owner), single=False)
    if isinstance(jids, (str, bytes, bytearray, bool, float)) or jids is None:
        raise _refusal(jids)
    try:
        items = iter(jids)  # type: ignore[call-overload]
    except TypeError:
        return JidList(range(jid := _one(jids, owner), jid + 1), single=True)
    order: list[int] = []
    for item in items:
        if isinstance(item, (range, OwnedJids)):  # one map among others
            order.extend(_range(item, owner))
        elif isinstance(item, (list, tuple)):
            order.extend(_one(each, owner) for each in item)
        else:
            order.append(_one(item, owner))
    return JidList(_dense(order), single=False)


def _one(jid: object, owner: Owner | None = None) -> int:
    if type(jid) is not int:
        if isinstance(jid, OwnedJid):
            check_owner(jid, owner)
        index = None if isinstance(jid, (bool, str)) else getattr(jid, "__index__", None)
        if index is None:
            raise _refusal(jid)
        jid = int(index())
    if not 1 <= jid <= MAX_JID:
        raise _refusal(jid)
    return jid


def check_owner(jids: object, owner: Owner | None) -> None:
    """Refuse jobs of another account, also in a list: their numbers would name other jobs.

    Raises:
        CloudException: When a client of another server or account made them.
    """
    if isinstance(jids, (list, tuple)):
        for each in jids:
            check_owner(each, owner)
    if not isinstance(jids, (OwnedJid, OwnedJids)):
        return
    made_by = jids.owner
    if owner is None or made_by is None or made_by is owner or made_by.address == owner.address:
        return
    theirs, ours = made_by.address, owner.address
    if theirs.url != ours.url:
        where, now = theirs.url, f"calls now go to {ours.url}"
    elif owner.has_key(theirs.key_id):
        return
    else:
        where = f"the API key {theirs.key_id}"
        now = f"calls now use the key {ours.key_id} of another account"
    if isinstance(jids, OwnedJid):
        which, methods = f"Job {jids} was", "its own methods, such as result(), still reach it"
    else:
        which = f"Jobs {jids.start}-{jids.stop - 1} were"
        methods = "their own methods, such as result(), still reach them"
    raise CloudException(f"{which} made with {where}, and {now}; {methods}.")


def _range(jids: range | OwnedJids, owner: Owner | None) -> range | list[int]:
    if isinstance(jids, OwnedJids):
        check_owner(jids, owner)
        jids = jids.range
    if not jids:
        return range(0)
    _one(min(jids[0], jids[-1]))
    _one(max(jids[0], jids[-1]))
    return jids if jids.step == 1 else list(jids)


def _dense(jids: list[int]) -> range | list[int]:
    """Return a list that counts up by one as a range, which takes no memory."""
    if not jids:
        return range(0)
    run = range(jids[0], jids[0] + len(jids))
    return run if jids[-1] == run[-1] and jids == list(run) else jids


def _refusal(jids: object) -> CloudException:
    text = f"{jids!r:.80}"
    if isinstance(jids, (range, list, tuple, set, frozenset)):
        return CloudTypeError(
            f"jids must be whole numbers from 1, or an iterable of them; {text} is nested too "
            "deep: flatten it, as in [*a, *b]."
        )
    kind = CloudValueError if type(jids) is int or isinstance(jids, range) else CloudTypeError
    return kind(f"jids must be whole numbers from 1, or an iterable of them, not {text}.")


def portions(
    spans: Sequence[Range], most_jobs: int = MAX_JOBS, most_ranges: int = MOST_RANGES
) -> Iterator[list[Range]]:
    """Split ranges into lists that fit one request each, in their order.

    >>> list(portions([(1, 5), (9, 9)], most_jobs=3))
    [[(1, 3)], [(4, 5), (9, 9)]]
    """
    portion: list[Range] = []
    room = most_jobs
    for first, last in spans:
        start = first
        while start <= last:
            stop = min(last, start + room - 1)
            portion.append((start, stop))
            room -= stop - start + 1
            start = stop + 1
            if not room or len(portion) == most_ranges:
                yield portion
                portion, room = [], most_jobs
    if portion:
        yield portion


def unfinished_jids(open_: Sequence[Range]) -> range | list[int]:
    """Return the jids of ascending ranges: as a range if there is one range only, else as a list.

    >>> unfinished_jids([(1, 3)]), unfinished_jids([(1, 2), (4, 4)])
    (range(1, 4), [1, 2, 4])
    """
    if len(open_) == 1:
        first, last = open_[0]
        return range(first, last + 1)
    return list(ranges.expand(open_))


def without(spans: Sequence[Range], jids: Iterable[int]) -> list[Range]:
    """Return ascending ranges without some jids.

    It takes a search for each run of these jids; other ranges are copied, however many there are.

    >>> without([(1, 5), (9, 9)], [3, 9])
    [(1, 2), (4, 5)]
    """
    remaining: list[Range] = []
    at, rest = 0, None
    for first, last in ranges.collapse(jids):
        if rest is not None:
            remaining.append((rest[0], min(rest[1], first - 1)))
            if last < rest[1]:
                rest = (last + 1, rest[1])
                continue
            rest = None
        begin = bisect_left(spans, first, at, key=itemgetter(1))
        remaining += spans[at:begin]
        at = bisect_right(spans, last, begin, key=itemgetter(0))
        if begin < at:
            start, end = spans[begin][0], spans[at - 1][1]
            if start < first:
                remaining.append((start, first - 1))
            if last < end:
                rest = (last + 1, end)
    if rest is not None:
        remaining.append(rest)
    return [*remaining, *spans[at:]]
