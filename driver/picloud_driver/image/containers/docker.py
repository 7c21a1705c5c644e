"""Images as images of docker: each is a snapshot of a container in which a recipe was built."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import RequestRefused, Unavailable
from picloud_model.wire.setup_machine import MachineShell

from picloud_driver import disk
from picloud_driver.docker.engine import Engine, machines_of
from picloud_driver.image import recipe_check
from picloud_driver.image.build_log import BuildLog
from picloud_driver.image.build_step import BuildFailedError, uv_program
from picloud_driver.image.builds import Builds, hex_of
from picloud_driver.image.containers.base_images import BaseImages
from picloud_driver.image.containers.container_tools import ContainerTools
from picloud_driver.image.containers.disk_watch import EVERY_S, MOST_BYTES, DiskWatch
from picloud_driver.image.containers.docker_build import DockerBuild
from picloud_driver.image.containers.setup_machine import ContainerMachine
from picloud_driver.image.port import Image, ImagePort, ImageState
from picloud_driver.image.setup_machine import BegunMachine, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.environment import EnvironmentBase, Recipe


_REGISTRY: Final = "localhost"
"""No registry: docker must never look for an image of an account in the public one."""

_SIGNATURE_S: Final = 60.0
"""How long it may take to look at all files of a machine; a user may have changed the program."""
_BEGUN: Final = "begun.json"
_STOPPED: Final = "It has stopped; picloud env modify NAME starts it again."


class DockerImages(ImagePort):
    """Builds images in the dockerd of this machine, which runs its slots.

    An image belongs to the image of the slots: with another worker it has to be built again.

    Args:
        root: The directory of logs; made with the first build.
        variables: Settings of uv for its downloads, such as an index and proxies.
        host: The address of dockerd.
        base: The image of slots that need no other base.
        network: The network of slots. Its name is part of the names of images.
        gateway: The address of this machine in that network, where gateways listen.
        most_bytes: The disk that a setup machine may take.
        watch_every_s: How often that is looked at.
    """

    adapter: ClassVar[str] = "docker"
    machines_are_jobs: bool = False

    def __init__(
        self,
        root: Path,
        variables: Mapping[str, str],
        *,
        host: str,
        base: str,
        network: str,
        gateway: str,
        most_bytes: int = MOST_BYTES,
        watch_every_s: float = EVERY_S,
    ) -> None:
        self._gateway = gateway
        self._root = root
        self._variables = variables
        self._engine = Engine(host)
        self._bases = BaseImages(self._engine, base)
        self._network = network
        self._watch = DiskWatch(self._engine, machines_of(network), most_bytes, watch_every_s)
        self._builds = Builds(root)
        self._repository = f"{_REGISTRY}/{network}/{base.rpartition(':')[2]}"
        self.default_base = self._bases.default

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
        return list((await asyncio.to_thread(self._bases.found)).values())

    def refusal(self, recipe: Recipe) -> str:
        """See `ImagePort.refusal`."""
        return recipe_check.refusal(recipe)

    async def start(self, image: str, recipe: Recipe, base: str) -> None:
        """See `ImagePort.start`; builds of the same image in other processes share a lock."""
        bases = {
            each.name: name for name, each in (await asyncio.to_thread(self._bases.found)).items()
        }
        if base not in bases:
            message = f"There is no base {base[:100]!r} on this server; there are "
            raise RequestRefused(f"{message}{', '.join(bases)}.", field="recipe.base")
        build = DockerBuild(
            host=self._engine.host,
            network=self._network,
            base=bases[base],
            target=self._name(image),
            recipe=recipe,
            tools=self._tools(),
        )

        async def make(log: BuildLog, scratch: Path) -> None:
            self._details(image).unlink(missing_ok=True)
            self._store(image, await build.run(log, scratch))

        with disk.faults(self._root):
            await self._builds.begin(image, lambda: self._is_ready(image), make)

    async def open(self, machine: str, image: str) -> None:
        """See `ImagePort.open`: a container of its own, in which users are root."""
        container = self._machine(machine)

        async def is_ready() -> bool:
            return bool(await asyncio.to_thread(self._engine.main_process, container.name))

        async def make(log: BuildLog, scratch: Path) -> None:
            if await asyncio.to_thread(self._engine.main_process, container.name) is None:
                (container.folder / _BEGUN).unlink(missing_ok=True)
                await container.start(log, scratch, self.container(image))
                signature = await container.signature(log, scratch)
                BegunMachine(image, signature).write(container.folder / _BEGUN)
            else:
                log.begin("start the container")
                await asyncio.to_thread(self._engine.connect, container.name, self._network)
                await asyncio.to_thread(self._engine.start, container.name)
            self._watch.begin()

        with disk.faults(self._root):
            await self._builds.begin(machine, is_ready, make)

    async def snapshot(self, machine: str) -> str:
        """See `ImagePort.snapshot`: docker pauses the machine while it stores the image."""
        container = self._machine(machine)
        await asyncio.to_thread(container.refuse_busy)
        await asyncio.to_thread(self._watch.refuse_large, container.name)
        with disk.faults(self._root):
            signature = await self._signature(container)
            image = snapshot_of(machine, signature, container.folder / _BEGUN)

            async def make(log: BuildLog, scratch: Path) -> None:
                base = await asyncio.to_thread(self._bases.beneath, container.name)
                details = await container.store(log, scratch, self._name(image), base)
                self._store(image, details)

            await self._builds.begin(image, lambda: self._is_ready(image), make)
        return image

    async def serve_shell(self, machine: str, order: TunnelOrder) -> None:
        """See `ImagePort.serve_shell`."""
        self._watch.begin()  # another process may have started the machine
        variables = MachineShell(self._gateway, order).variables()
        await asyncio.to_thread(self._machine(machine).serve_shell, variables)

    async def find(self, image: str) -> Image:
        """See `ImagePort.find`."""
        with disk.faults(self._root):
            if self._builds.is_running(image):
                return Image(state=ImageState.BUILDING)
            # After the look at the lock, which is released once the image is there.
            if await self._is_ready(image):
                with contextlib.suppress(FileNotFoundError):
                    return msgspec.json.decode(self._details(image).read_bytes(), type=Image)
            process = await asyncio.to_thread(self._engine.main_process, self._machine(image).name)
            if process is not None:
                state = ImageState.READY if process else ImageState.FAILED
                problem = "" if process else self._watch.problem(self._machine(image).name)
                return Image(state=state, problem="" if process else problem or _STOPPED)
            if self._details(image).exists() or (self._machine(image).folder / _BEGUN).exists():
                # It was there once, for an earlier worker or in a docker that has lost it.
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
        prefix = machines_of(self._network)
        machines = await asyncio.to_thread(self._engine.containers, prefix)
        found = {tag.rpartition(":")[2] for tag in tags} | {
            name[len(prefix) :] for name in machines
        }
        return sorted(f"sha256:{digits}" for digits in found)

    async def remove(self, image: str) -> None:
        """See `ImagePort.remove`; those for earlier workers are removed with it."""
        digits = hex_of(image)
        machine = self._machine(image)
        await asyncio.to_thread(self._engine.delete, machine.name)
        await asyncio.to_thread(shutil.rmtree, machine.folder, ignore_errors=True)
        for tag in await asyncio.to_thread(self._engine.tags, self._pattern):
            if tag.endswith(f":{digits}"):
                await asyncio.to_thread(self._engine.remove, tag)
        with disk.faults(self._root):
            self._details(image).unlink(missing_ok=True)
            self._builds.forget(image)

    async def close(self) -> None:
        """See `ImagePort.close`."""
        await self._watch.close()
        await self._builds.close()

    @property
    def _pattern(self) -> str:
        return f"{_REGISTRY}/{self._network}/*"

    def _name(self, image: str) -> str:
        return f"{self._repository}:{hex_of(image)}"

    def _machine(self, machine: str) -> ContainerMachine:
        digits = hex_of(machine)
        return ContainerMachine(
            host=self._engine.host,
            network=self._network,
            name=f"{machines_of(self._network)}{digits}",
            folder=self._root / "machines" / digits,
            tools=self._tools(),
        )

    def _tools(self) -> ContainerTools:
        return ContainerTools(uv=uv_program(), variables=self._variables)

    async def _signature(self, container: ContainerMachine) -> str:
        """Return the signature of a machine; it is read outside of builds, and logged nowhere."""
        with TemporaryDirectory(prefix="picloud-signature-") as folder:
            log = BuildLog(Path(folder, "log"))
            try:
                async with asyncio.timeout(_SIGNATURE_S):
                    return await container.signature(log, Path(folder))
            except TimeoutError:
                message = f"The setup machine was not read within {_SIGNATURE_S:.0f} s; try again."
                raise Unavailable(message) from None
            except BuildFailedError as failure:
                raise Unavailable(f"The setup machine cannot be read{failure}") from None
            finally:
                log.close()

    def _store(self, image: str, details: Image) -> None:
        file = self._details(image)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(details))

    def _details(self, image: str) -> Path:
        return self._root / "images" / f"{hex_of(image)}.json"

    async def _is_ready(self, image: str) -> bool:
        has = await asyncio.to_thread(self._engine.has, self._name(image))
        return has and self._details(image).exists()
