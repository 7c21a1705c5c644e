"""Consul asked from an event loop: its client blocks, so threads wait in the loop's stead."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from picloud_model.errors import Unavailable

from picloud_driver.consul.gateway import ConsulGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_driver.consul.gateway import ConsulAccess

_T = TypeVar("_T")

_MOST_WAITS: Final = 32
"""Most questions held open at once; the platform has one a process."""
_WAIT_S: Final = 2.0
"""Longest time one question is held open, in seconds; then it is asked again.

Nothing calls back a thread that waits for an answer, so this is how long a process can take to end.
Consul would hold it for 55 s: that spares it one cheap request every 2 s.
"""


class ConsulThreads:
    """A gateway, and threads that call it.

    Args:
        access: Where Consul answers.
        threads: How many requests may be under way at once, beside those held open.
    """

    def __init__(self, access: ConsulAccess, threads: int) -> None:
        self.gateway = ConsulGateway(access, connections=threads + 1)
        self._threads = ThreadPoolExecutor(threads, "consul")
        # Apart from the others, who would wait for a thread until something changes.
        self._waits = ThreadPoolExecutor(_MOST_WAITS, "consul-wait")
        self._closed = False

    async def ask(self, question: Callable[..., _T], *args: object) -> _T:
        """Call a method of the gateway."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *args)

    async def wait(self, prefix: str, index: int, timeout_s: float) -> int:
        """Wait until the index of a prefix is another; the same when it stays so for that long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self._closed:
            wait_s = min(_WAIT_S, max(0.0, deadline - loop.time()))
            found = await loop.run_in_executor(
                self._waits, self.gateway.wait, prefix, index, wait_s
            )
            if found != index or loop.time() >= deadline:
                return found
        raise Unavailable("the connection to Consul was closed")

    def close(self) -> None:
        """Close the connections; a question held open ends by itself."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._waits.shutdown(wait=False, cancel_futures=True)
        self.gateway.close()
