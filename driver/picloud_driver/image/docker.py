"""Images as images of docker: each is a snapshot of a container in which a recipe was built."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import RequestRefused, Unavailable
from picloud_model.wire.environment import OWN_BASES, EnvironmentBase

from picloud_driver import disk
from picloud_driver.docker.engine import Engine
from picloud_driver.image import recipe_check
from picloud_driver.image.build_step import uv_program
from picloud_driver.image.builds import Builds, hex_of
from picloud_driver.image.docker_build import DockerBuild
from picloud_driver.image.port import Image, ImagePort, ImageState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from picloud_model.wire.environment import Recipe

    from picloud_driver.image.build_log import BuildLog

_REGISTRY: Final = "localhost"
"""No registry: docker must never look for an image of an account in the public one."""

_NO_MACHINES: Final = (
    "There are no setup machines where jobs are isolated in containers; build the environment from "
    "a recipe with picloud env build."
)


class DockerImages(ImagePort):
    """Builds images in the dockerd of this machine, which runs its slots.

    An image belongs to the image of the slots: with another worker it has to be built again.

    Args:
        root: The directory of logs; made with the first build.
        variables: Settings of uv for its downloads, such as an index and proxies.
        host: The address of dockerd.
        base: The image of slots.
        network: The network of slots. Its name is part of the names of images.
    """

    adapter: ClassVar[str] = "docker"

    def __init__(
        self, root: Path, variables: Mapping[str, str], *, host: str, base: str, network: str
    ) -> None:
        self._root = root
        self._variables = variables
        self._engine = Engine(host)
        self._base = base
        self._network = network
        self._builds = Builds(root)
        self._repository = f"{_REGISTRY}/{network}/{base.rpartition(':')[2]}"
        self.default_base = EnvironmentBase(
            name=f"{OWN_BASES}bookworm", python="3.11", desc="Debian 12, CPython 3.11"
        )

    def __repr__(self) -> str:
        return f"DockerImages({self._repository!r})"

    def container(self, image: str) -> str:
        """Return the name by which docker runs an image.

        Raises:
            Unavailable: When the image is not on this machine.
        """
        name = self._name(image)
        if not self._engine.has(name):
            message = "The job's environment is missing on this machine; build it again."
            raise Unavailable(message)
        return name

    async def bases(self) -> Sequence[EnvironmentBase]:
        """See `ImagePort.bases`."""
        return [self.default_base]

    def refusal(self, recipe: Recipe) -> str:
        """See `ImagePort.refusal`."""
        return recipe_check.refusal(recipe)

    async def start(self, image: str, recipe: Recipe, base: str) -> None:
        """See `ImagePort.start`; builds of the same image in other processes share a lock."""
        if base != self.default_base.name:
            message = f"There is no base {base[:100]!r} on this server; there are "
            raise RequestRefused(f"{message}{self.default_base.name}.", field="recipe.base")
        build = DockerBuild(
            host=self._engine.host,
            network=self._network,
            base=self._base,
            target=self._name(image),
            recipe=recipe,
            uv=uv_program(),
            variables=self._variables,
        )

        async def make(log: BuildLog, scratch: Path) -> None:
            file = self._details(image)
            file.unlink(missing_ok=True)
            details = await build.run(log, scratch)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(msgspec.json.encode(details))

        with disk.faults(self._root):
            await self._builds.begin(image, lambda: self._is_ready(image), make)

    async def open(self, machine: str, image: str) -> None:
        """See `ImagePort.open`: a container has no root in which packages could be installed."""
        del machine, image
        raise RequestRefused(_NO_MACHINES, field="name")

    async def snapshot(self, machine: str) -> str:
        """See `ImagePort.snapshot`."""
        del machine
        raise RequestRefused(_NO_MACHINES, field="name")

    async def find(self, image: str) -> Image:
        """See `ImagePort.find`."""
        with disk.faults(self._root):
            if self._builds.is_running(image):
                return Image(state=ImageState.BUILDING)
            # After the look at the lock, which is released once the image is there.
            if await self._is_ready(image):
                with contextlib.suppress(FileNotFoundError):
                    return msgspec.json.decode(self._details(image).read_bytes(), type=Image)
            elif self._details(image).exists():
                # It was built once, for an earlier worker or in a docker that has lost it.
                return Image(state=ImageState.ABSENT)
            problem = self._builds.problem(image)
            return Image(state=ImageState.FAILED if problem else ImageState.ABSENT, problem=problem)

    async def log(self, image: str, offset: int) -> bytes:
        """See `ImagePort.log`."""
        with disk.faults(self._root):
            return self._builds.log(image, offset)

    async def names(self) -> Sequence[str]:
        """See `ImagePort.names`."""
        tags = await asyncio.to_thread(self._engine.tags, self._pattern)
        return sorted({f"sha256:{tag.rpartition(':')[2]}" for tag in tags})

    async def remove(self, image: str) -> None:
        """See `ImagePort.remove`; those for earlier workers are removed with it."""
        digits = hex_of(image)
        for tag in await asyncio.to_thread(self._engine.tags, self._pattern):
            if tag.endswith(f":{digits}"):
                await asyncio.to_thread(self._engine.remove, tag)
        with disk.faults(self._root):
            self._details(image).unlink(missing_ok=True)
            self._builds.forget(image)

    async def close(self) -> None:
        """See `ImagePort.close`."""
        await self._builds.close()

    @property
    def _pattern(self) -> str:
        return f"{_REGISTRY}/{self._network}/*"

    def _name(self, image: str) -> str:
        return f"{self._repository}:{hex_of(image)}"

    def _details(self, image: str) -> Path:
        return self._root / "images" / f"{hex_of(image)}.json"

    async def _is_ready(self, image: str) -> bool:
        has = await asyncio.to_thread(self._engine.has, self._name(image))
        return has and self._details(image).exists()
