"""The fetch of images: machines get the next version of an environment before a slot needs it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from picloud_driver.scheduler import SchedulerPort

_log = structlog.get_logger()


class ImageFetch:
    """Lets machines fetch images, without waiting for them.

    Args:
        scheduler: What knows the machines.
    """

    def __init__(self, scheduler: SchedulerPort) -> None:
        self._scheduler = scheduler
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, image: str, instead_of: str) -> None:
        """Begin to fetch an image to where slots of another one ran, which it replaces."""
        task = asyncio.create_task(self._run(image, instead_of))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, image: str, instead_of: str) -> None:
        try:
            await self._scheduler.prefetch(image, instead_of)
        except PiCloudError as error:
            # Slots fetch it when they start.
            _log.warning("image.not_fetched", image=image, reason=error.message)
