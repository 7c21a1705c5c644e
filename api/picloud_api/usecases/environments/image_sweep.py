"""The sweep of images: which of them no environment and no job has needed for long."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from picloud_model.wire.environment import Recipe

from picloud_api.store.records import Ready, Slot
from picloud_api.usecases.environments.environment_record import EnvironmentRecord

if TYPE_CHECKING:
    from picloud_driver.image import ImagePort

    from picloud_api.engine.process.context import Context


class ImageSweep:
    """Removes images that nothing refers to.

    Args:
        context: The store and the clock.
        images: What is removed.
    """

    def __init__(self, context: Context, images: ImagePort) -> None:
        self._view = context.commits.view
        self._clock = context.clock
        self._images = images
        self._unused: dict[str, float] = {}
        """Since when this process has known that an image is not used."""

    async def sweep(self, unused_s: float) -> int:
        """Remove the images that were not used for so long; return how many there were."""
        present = await self._images.names()
        if not present:
            return 0
        used = await self._used()
        now = self._clock()
        unused = [image for image in present if image not in used]
        self._unused = {image: self._unused.get(image, now) for image in unused}
        doomed = [image for image, since in self._unused.items() if now - since >= unused_s]
        for image in doomed:
            await self._images.remove(image)
            del self._unused[image]
        return len(doomed)

    async def _used(self) -> set[str]:
        records = [*(await self._view.scan(EnvironmentRecord.prefix)).values()]
        used = {
            version.image
            for record in records
            for version in (*record.history, record.pending)
            if version is not None
        }
        used |= {each for record in records if record.setup for each in record.setup.images}
        pools = [await self._view.scan(prefix) for prefix in (Ready.prefix, Slot.prefix)]
        used |= {each.pool.image for each in chain(*(found.values() for found in pools))}
        # Jobs that name no environment need them, and may do so at any time.
        return used | {Recipe().digest(base.python) for base in await self._images.bases()}
