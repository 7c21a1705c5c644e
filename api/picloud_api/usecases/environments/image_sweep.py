"""The sweep of images: which of them no environment and no job has needed for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.usecases.environments.image_use import ImageUse

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
        self.use = ImageUse(context, images)
        self._clock = context.clock
        self._images = images
        self._unused: dict[str, float] = {}
        """Since when this process has known that an image is not used."""

    async def sweep(self, unused_s: float) -> int:
        """Remove the images that were not used for so long; return how many there were."""
        present = await self._images.names()
        if not present:
            return 0
        used = await self.use.used()
        now = self._clock()
        unused = [image for image in present if image not in used]
        self._unused = {image: self._unused.get(image, now) for image in unused}
        doomed = [image for image, since in self._unused.items() if now - since >= unused_s]
        for image in doomed:
            await self._images.remove(image)
            del self._unused[image]
        return len(doomed)
