"""Bytes in chunks: read in a thread, and regrouped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
    from typing import Any, Protocol

    class RunInThread(Protocol):
        """Runs a function that blocks, and returns its result."""

        def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Awaitable[Any]:
            """Run the function."""


class ThreadedChunks:
    """Reads chunks by a function that blocks, one at a time, until it returns b"".

    Args:
        read: Returns the next chunk.
        close: Gives up what `read` uses; called once.
        run: Runs `read` and `close`.
    """

    def __init__(
        self, read: Callable[[], bytes], close: Callable[[], None], run: RunInThread
    ) -> None:
        self._read = read
        self._close = close
        self._run = run
        self._open = True

    def __aiter__(self) -> ThreadedChunks:
        return self

    async def __anext__(self) -> bytes:
        if not self._open:
            raise StopAsyncIteration
        try:
            chunk: bytes = await self._run(self._read)
        except BaseException:
            await self.aclose()
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Close what the chunks are read from, if it is open."""
        if self._open:
            self._open = False
            await self._run(self._close)


async def pieces(chunks: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of at least `size`, except for the last.

    >>> import asyncio
    >>> async def example():
    ...     async def chunks():
    ...         for chunk in (b"a", b"bc", b"", b"defg", b"h"):
    ...             yield chunk
    ...     return [piece async for piece in pieces(chunks(), 3)]
    >>> asyncio.run(example())
    [b'abc', b'defg', b'h']
    """
    waiting: list[bytes] = []
    held = 0
    async for chunk in chunks:
        waiting.append(chunk)
        held += len(chunk)
        if held >= size:
            yield b"".join(waiting)
            waiting, held = [], 0
    if held:
        yield b"".join(waiting)
