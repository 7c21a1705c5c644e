"""Consul for an event loop: the client blocks, so threads call it."""

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
"""Most long polls at once; the platform has one per process."""
_WAIT_S: Final = 2.0
"""Longest time of one long poll, in seconds; then it is repeated.

Nothing interrupts a thread that waits for an answer, so a process can take this long to end. Consul
would allow 55 s, but that would only save one cheap request every 2 s.
"""


class ConsulThreads:
    """A gateway, and threads that call it.

    Args:
        access: Address and credentials of Consul.
        threads: How many requests may run at once, besides long polls.
    """

    def __init__(self, access: ConsulAccess, threads: int) -> None:
        self.gateway = ConsulGateway(access, connections=threads + 1)
        self._threads = ThreadPoolExecutor(threads, "consul")
        # Long polls have their own threads, so that other requests need not wait for one.
        self._waits = ThreadPoolExecutor(_MOST_WAITS, "consul-wait")
        self._closed = False

    async def ask(self, question: Callable[..., _T], *args: object) -> _T:
        """Call a method of the gateway."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *args)

    async def wait(self, prefix: str, index: int, timeout_s: float) -> int:
        """Wait until the index of a prefix has changed; return it, changed or not."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self._closed:
            wait_s = min(_WAIT_S, max(0.0, deadline - loop.time()))
            present = await loop.run_in_executor(
                self._waits, self.gateway.wait, prefix, index, wait_s
            )
            if present != index or loop.time() >= deadline:
                return present
        raise Unavailable("the connection to Consul was closed")

    def close(self) -> None:
        """Close the connections; a long poll ends by itself."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._waits.shutdown(wait=False, cancel_futures=True)
        self.gateway.close()
