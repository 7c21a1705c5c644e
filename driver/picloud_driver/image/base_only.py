"""The images of a server that has only its base: every recipe is refused, and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from picloud_model.errors import RequestConflict, RequestRefused
from picloud_model.wire.environment import OWN_BASES, EnvironmentBase

from picloud_driver.image.port import MACHINES_ARE_JOBS, Image, ImagePort, ImageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.environment import Recipe


class BaseOnlyImages(ImagePort):
    """Offers one base, and builds nothing.

    Args:
        name: The name of the base, without `base/`.
        python: Its minor version.
        reason: Why nothing can be built on it, in a sentence.
    """

    adapter: ClassVar[str] = "base"

    def __init__(self, name: str, python: str, reason: str) -> None:
        self.default_base = EnvironmentBase(name=f"{OWN_BASES}{name}", python=python)
        self._reason = reason

    async def bases(self) -> Sequence[EnvironmentBase]:
        """See `ImagePort.bases`."""
        return [self.default_base]

    def refusal(self, recipe: Recipe) -> str:
        """See `ImagePort.refusal`."""
        del recipe
        return self._reason

    async def start(self, image: str, recipe: Recipe, base: str) -> None:
        """See `ImagePort.start`."""
        del image, recipe, base
        raise RequestRefused(self._reason, field="recipe")

    async def open(self, machine: str, image: str) -> None:
        """See `ImagePort.open`."""
        del machine, image
        raise RequestRefused(self._reason, field="name")

    async def snapshot(self, machine: str) -> str:
        """See `ImagePort.snapshot`."""
        del machine
        raise RequestRefused(self._reason, field="name")

    async def find(self, image: str) -> Image:
        """See `ImagePort.find`."""
        del image
        return Image(state=ImageState.ABSENT)

    async def log(self, image: str, offset: int) -> bytes:
        """See `ImagePort.log`."""
        del image, offset
        return b""

    async def serve_shell(self, machine: str, order: TunnelOrder) -> None:
        """See `ImagePort.serve_shell`."""
        del machine, order
        raise RequestConflict(MACHINES_ARE_JOBS, field="name")

    async def names(self) -> Sequence[str]:
        """See `ImagePort.names`."""
        return []

    async def remove(self, image: str) -> None:
        """See `ImagePort.remove`."""

    async def close(self) -> None:
        """See `ImagePort.close`."""
