"""Shared waits: requests that wait for the same jobs, of which one leads and the others follow."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from picloud_api.engine.process.turns import Turn

Answer = TypeVar("Answer")


class SharedWait(Generic[Answer]):
    """The followers of one leader."""

    def __init__(self, waits: SharedWaits[Answer], key: bytes) -> None:
        self._waits = waits
        self._key = key
        self._followers: deque[asyncio.Future[Answer | None]] = deque()

    async def follow(self, timeout_s: float) -> Answer | None:
        """Return the leader's answer; None if this request has to lead from now on.

        Raises:
            PiCloudError: What the leader raised.
            TimeoutError: When there is neither after `timeout_s`.
        """
        future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._followers.append(future)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            if future.cancelled():
                raise
            return future.result()  # it came in the same moment
        except asyncio.CancelledError:
            if not future.cancelled() and future.exception() is None and future.result() is None:
                self.pass_on()
            raise

    def pass_on(self) -> None:
        """Let the next follower lead; without one, the wait ends."""
        while self._followers:
            future = self._followers.popleft()
            if not future.done():
                future.set_result(None)
                return
        self.close()

    def close(self) -> None:
        """Let requests that come from now on wait by themselves."""
        self._waits.remove(self._key, self)

    def answer(self, answer: Answer | PiCloudError, turn: Turn) -> None:
        """Give the followers the leader's answer, or its error, one in each slice of its account.

        All replies together would take long.
        """
        self.close()
        if self._followers:
            self._waits.start(self._answer(answer, turn))

    async def _answer(self, answer: Answer | PiCloudError, turn: Turn) -> None:
        for future in self._followers:
            if future.done():
                continue
            if isinstance(answer, PiCloudError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
            await turn.rest()


class SharedWaits(Generic[Answer]):
    """The shared waits of one process, by what is waited for."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, SharedWait[Answer]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    def join(self, key: bytes) -> tuple[SharedWait[Answer], bool]:
        """Return the wait with a key, and whether it is new: then the request leads it."""
        shared = self._by_key.get(key)
        if shared is not None:
            return shared, False
        shared = self._by_key[key] = SharedWait(self, key)
        return shared, True

    def remove(self, key: bytes, shared: SharedWait[Answer]) -> None:
        """Forget a wait, unless another one has its key by now."""
        if self._by_key.get(key) is shared:
            del self._by_key[key]

    def start(self, answering: Coroutine[None, None, None]) -> None:
        """Answer followers, besides the leader's own reply."""
        task = asyncio.create_task(answering)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
