"""The builds of a server: of each image one at a time, in any processes, each with a log."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused

from picloud_driver import disk
from picloud_driver.image.build_log import BuildLog, read_log
from picloud_driver.image.build_step import BuildFailedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

BUILDS_AT_ONCE: Final = 2
_LOCK_TRIES: Final = 5
_LOCK_PAUSE_S: Final = 0.005
_INTERRUPTED: Final = "The build was interrupted when the server stopped; build it again."
_IMAGE: Final = re.compile(r"sha256:([0-9a-f]{64})")
_MODE: Final = 0o755


def hex_of(image: str) -> str:
    """Return the digits of an image's name.

    Raises:
        RequestRefused: When it is not a digest.
    """
    matched = _IMAGE.fullmatch(image)
    if matched is None:
        raise RequestRefused(f"{image[:80]!r} is not a valid digest of an image.", field="image")
    return matched[1]


class Builds:
    """Runs builds, and keeps their logs below a directory of the server.

    Args:
        root: The directory; made with the first build.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.scratch = root / "scratch"
        """Where builds work."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(BUILDS_AT_ONCE)

    async def begin(
        self,
        image: str,
        is_ready: Callable[[], Awaitable[bool]],
        make: Callable[[BuildLog, Path], Awaitable[None]],
    ) -> None:
        """Begin to build an image; nothing happens if it is ready or being built.

        Args:
            image: Its name.
            is_ready: Whether it is complete.
            make: Builds it, with a log and a directory to work in; it raises `BuildFailedError`.
        """
        lock = await self._lock(image)
        if lock is None:
            return
        try:
            if await is_ready():
                os.close(lock)
                return
            self._path(image, "problem").unlink(missing_ok=True)
            log = BuildLog(self._path(image, "log"))
        except BaseException:
            os.close(lock)
            raise
        task = self._tasks[image] = asyncio.create_task(self._run(image, make, log, lock))
        task.add_done_callback(lambda _: self._tasks.pop(image, None))

    def is_running(self, image: str) -> bool:
        """Whether an image is being built, by this process or another one."""
        if image in self._tasks:
            return True
        try:
            descriptor = os.open(self._path(image, "lock"), os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def problem(self, image: str) -> str:
        """Return why the latest build of an image, which has ended, failed; "" for no build."""
        with contextlib.suppress(FileNotFoundError):
            return self._path(image, "problem").read_text()
        return _INTERRUPTED if self._path(image, "log").exists() else ""

    def log(self, image: str, offset: int) -> bytes:
        """Return whole lines of the log of the latest build from a byte on."""
        return read_log(self._path(image, "log"), offset)

    def forget(self, image: str) -> None:
        """Remove the log of an image."""
        for kind in ("log", "problem"):
            self._path(image, kind).unlink(missing_ok=True)

    async def close(self) -> None:
        """End the builds of this process, whose images then count as failed."""
        tasks = [*self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self,
        image: str,
        make: Callable[[BuildLog, Path], Awaitable[None]],
        log: BuildLog,
        lock: int,
    ) -> None:
        problem = _INTERRUPTED
        scratch = self.scratch / token_hex(8)
        try:
            async with self._room:
                scratch.mkdir(mode=_MODE, parents=True)
                await make(log, scratch)
            problem = ""
        except BuildFailedError as failure:
            problem = str(failure)
        except OSError as fault:
            problem = disk.refusal(fault, self.root).message
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
            with contextlib.suppress(OSError):
                if problem:
                    log.add(f"failed: {problem}\n".encode())
                    self._path(image, "problem").write_text(problem)
            log.close()
            os.close(lock)

    async def _lock(self, image: str) -> int | None:
        """Return a descriptor that holds the lock of an image; None if another build does."""
        path = self._path(image, "lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_LOCK_TRIES):
            if image in self._tasks:
                return None
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor
            # Another process may only have looked whether it is locked.
            await asyncio.sleep(_LOCK_PAUSE_S)
        return None

    def _path(self, image: str, kind: str) -> Path:
        return self.root / "builds" / f"{hex_of(image)}.{kind}"
