"""Watches on a store that only one process writes: a commit wakes them, without polling."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED: Final = 64
"""Prefixes whose latest change is kept although no watch waits for the next one."""


class _Prefix:
    """The latest change under a prefix, and the watches that wait for the next one."""

    __slots__ = ("latest", "waiting")

    def __init__(self, latest: int) -> None:
        self.latest = latest
        self.waiting: set[asyncio.Future[int]] = set()


class Changes:
    """The latest changes of watched prefixes; moments are versions of commits.

    >>> changes = Changes(now=7)
    >>> asyncio.run(changes.wait("bell/", after=0, timeout_s=1.0))
    7
    >>> changes.note(["bell/a", "job/1"], 8)
    >>> asyncio.run(changes.wait("bell/", after=7, timeout_s=1.0))
    8
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self._prefixes: dict[str, _Prefix] = {}
        self._watched: tuple[str, ...] = ()

    def note(self, keys: Sequence[str], moment: int) -> None:
        """Record that keys changed, and wake the watches on them."""
        self._now = moment
        # One call in C per key if no prefix of it is watched, which is the common case.
        touched = [key for key in keys if key.startswith(self._watched)]
        if not touched:
            return
        for prefix, watched in self._prefixes.items():
            if any(key.startswith(prefix) for key in touched):
                watched.latest = moment
                for waiter in watched.waiting:
                    if not waiter.done():
                        waiter.set_result(moment)

    async def wait(self, prefix: str, after: int, timeout_s: float) -> int:
        """Wait for a change under `prefix` later than `after`, as `StatePort.watch` promises."""
        watched = self._prefixes.get(prefix) or self._watch(prefix)
        # A moment later than now comes from another file, about which nothing is known here.
        if after < watched.latest or after > self._now or not after:
            return self._now
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        watched.waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return after
        finally:
            watched.waiting.discard(waiter)

    def end(self) -> None:
        """Fail all waiting watches: the store was closed."""
        for watched in self._prefixes.values():
            for waiter in watched.waiting:
                with contextlib.suppress(asyncio.InvalidStateError):
                    waiter.set_exception(Unavailable("the state store was closed"))

    def _watch(self, prefix: str) -> _Prefix:
        """Begin to watch a prefix; earlier changes count as a change at this moment."""
        if len(self._prefixes) >= REMEMBERED:
            idle = [name for name, each in self._prefixes.items() if not each.waiting]
            for name in idle[: max(1, len(self._prefixes) - REMEMBERED + 1)]:
                del self._prefixes[name]
        watched = self._prefixes[prefix] = _Prefix(self._now)
        self._watched = tuple(self._prefixes)
        return watched
