"""Builds of images of docker, which tests wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.image import ImageState

from tests.polling import eventually

if TYPE_CHECKING:
    from picloud_driver.image import Image
    from picloud_driver.image.containers.docker import DockerImages
    from picloud_model.wire.environment import Recipe

BASE = "base/bookworm"
#: The first image that is pushed takes its base along.
PUSHED_S = 300.0


def digest(recipe: Recipe) -> str:
    """Return the digest of a recipe on the image's Python."""
    return recipe.digest("3.11")


async def built(images: DockerImages, recipe: Recipe, base: str = BASE) -> Image:
    """Build an image and return what became of it."""
    await images.start(digest(recipe), recipe, base)
    return await settled(images, digest(recipe))


async def settled(images: DockerImages, image: str) -> Image:
    """Return what is known of an image or a machine once nothing happens to it."""

    async def ended() -> Image | None:
        found = await images.find(image)
        return found if found.state is not ImageState.BUILDING else None

    return await eventually(ended, "nothing happens to it", PUSHED_S)
