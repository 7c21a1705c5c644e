"""Watches over a store that one process alone writes: nothing is polled, a commit wakes them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED: Final = 64
"""Prefixes whose latest change is kept while nobody waits for the next one."""


class _Prefix:
    """When something under a prefix last changed, and who waits for the next time."""

    __slots__ = ("latest", "waiting")

    def __init__(self, latest: int) -> None:
        self.latest = latest
        self.waiting: set[asyncio.Future[int]] = set()


class Changes:
    """What changed when, for the prefixes somebody asked about; moments are versions of commits.

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
        self._known: tuple[str, ...] = ()

    def note(self, keys: Sequence[str], moment: int) -> None:
        """Tell that these keys changed, and wake who waits for them."""
        self._now = moment
        # One call in C a key as long as nobody watches it, which is the common case.
        touched = [key for key in keys if key.startswith(self._known)]
        if not touched:
            return
        for prefix, known in self._prefixes.items():
            if any(key.startswith(prefix) for key in touched):
                known.latest = moment
                for waiter in known.waiting:
                    if not waiter.done():
                        waiter.set_result(moment)

    async def wait(self, prefix: str, after: int, timeout_s: float) -> int:
        """Wait for a change under `prefix` later than `after`, as `StatePort.watch` promises."""
        known = self._prefixes.get(prefix) or self._remember(prefix)
        # Later than now is a moment of another file's life, of which nothing is known here.
        if after < known.latest or after > self._now or not after:
            return self._now
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        known.waiting.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return after
        finally:
            known.waiting.discard(waiter)

    def end(self) -> None:
        """Let everybody who waits go: there will be no more changes."""
        for known in self._prefixes.values():
            for waiter in known.waiting:
                with contextlib.suppress(asyncio.InvalidStateError):
                    waiter.set_exception(Unavailable("the state store was closed"))

    def _remember(self, prefix: str) -> _Prefix:
        """Begin to follow a prefix; what happened to it before is taken to have happened now."""
        if len(self._prefixes) >= REMEMBERED:
            idle = [name for name, known in self._prefixes.items() if not known.waiting]
            for name in idle[: max(1, len(self._prefixes) - REMEMBERED + 1)]:
                del self._prefixes[name]
        known = self._prefixes[prefix] = _Prefix(self._now)
        self._known = tuple(self._prefixes)
        return known
