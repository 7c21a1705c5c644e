"""The disk of setup machines: those that take too much are stopped, and are not saved."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestConflict, Unavailable

if TYPE_CHECKING:
    from picloud_driver.docker.engine import Engine

MOST_BYTES: Final = 20_000_000_000
"""What a setup machine may take besides the image that it began as."""
EVERY_S: Final = 30.0
"""How often sizes are looked at: docker goes through all files of the machines for that."""


class DiskWatch:
    """Looks at the sizes of setup machines as long as one runs.

    Args:
        engine: The dockerd that runs them.
        prefix: How the names of their containers begin.
        most_bytes: What each may take.
        every_s: How often it looks.
    """

    def __init__(
        self,
        engine: Engine,
        prefix: str,
        most_bytes: int = MOST_BYTES,
        every_s: float = EVERY_S,
    ) -> None:
        self._engine = engine
        self._prefix = prefix
        self._most_bytes = most_bytes
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._stopped: set[str] = set()

    def __repr__(self) -> str:
        return f"DiskWatch({self._prefix!r}, {self._most_bytes})"

    def begin(self) -> None:
        """Begin to look, if this process does not yet; it ends once no machine runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def problem(self, container: str) -> str:
        """Return why a machine that has stopped was stopped by this process; "" if it was not."""
        if container not in self._stopped:
            return ""
        most = _gigabytes(self._most_bytes)
        return (
            f"It was stopped because it took more than {most} GB of disk; picloud env modify NAME "
            f"starts it again for {self._every_s:.0f} s, in which you can remove files."
        )

    def refuse_large(self, container: str) -> None:
        """Refuse to save a machine that takes too much.

        Raises:
            RequestConflict: When it does; it has both sizes.
        """
        size = self._engine.sizes(container).get(container, 0)
        if size > self._most_bytes:
            shown, most = _gigabytes(size), _gigabytes(self._most_bytes)
            message = f"The setup machine has {shown} GB besides what it began with, and may have"
            raise RequestConflict(f"{message} {most} GB: remove files, then save.", field="name")

    async def close(self) -> None:
        """End the watch of this process."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                sizes = await asyncio.to_thread(self._engine.sizes, self._prefix)
                for container, size in sizes.items():
                    self._stopped.discard(container)
                    if size > self._most_bytes:
                        self._stopped.add(container)
                        await asyncio.to_thread(self._engine.stop, container)
            except Unavailable:
                continue  # docker is being restarted, or the machine was just removed
            if not sizes:
                return


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g}"
