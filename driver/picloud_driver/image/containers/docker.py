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
from picloud_driver.image.containers.docker_build import BuildContainer, DockerBuild
from picloud_driver.image.containers.setup_machine import ContainerMachine
from picloud_driver.image.port import Image, ImagePort, ImageState
from picloud_driver.image.setup_machine import BegunMachine, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.environment import EnvironmentBase, Recipe

    from picloud_driver.image.containers.registry import Registry

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
        registry: Where images are pushed, so that other machines run slots in them; None if slots
            run on this machine only.
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
        registry: Registry | None = None,
    ) -> None:
        self._gateway = gateway
        self._registry = registry
        self._root = root
        self._variables = variables
        self._engine = Engine(host)
        self._bases = BaseImages(self._engine, base)
        self._network = network
        self._watch = DiskWatch(self._engine, machines_of(network), most_bytes, watch_every_s)
        self._builds = Builds(root)
        self._place = f"{network}/{base.rpartition(':')[2]}"
        self.default_base = self._bases.default

    def __repr__(self) -> str:
        return f"DockerImages({self._place!r})"

    def container(self, image: str) -> str:
        """Return the name by which docker runs an image: that in the registry, if it was pushed.

        Raises:
            Unavailable: When the image is not on this machine, and in no registry.
        """
        if reference := self._reference(image):
            return reference
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
            details = await self._kept(image, log, scratch)
            if details is None:
                self._details(image).unlink(missing_ok=True)
                details = await build.run(log, scratch)
            await self._store(image, details, log, scratch)

        with disk.faults(self._root):
            await self._builds.begin(image, lambda: self._is_here(image), make)

    async def open(self, machine: str, image: str) -> None:
        """See `ImagePort.open`: a container of its own, in which users are root."""
        container = self._machine(machine)

        async def is_ready() -> bool:
            return bool(await asyncio.to_thread(self._engine.main_process, container.name))

        async def make(log: BuildLog, scratch: Path) -> None:
            if await asyncio.to_thread(self._engine.main_process, container.name) is None:
                (container.folder / _BEGUN).unlink(missing_ok=True)
                await container.start(log, scratch, await self._origin(image, log, scratch))
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
                await self._store(image, details, log, scratch)

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
            if await self._is_ready(image) and (details := _read(self._details(image))):
                return details
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
        tags = await asyncio.to_thread(self._tags)
        prefix = machines_of(self._network)
        machines = await asyncio.to_thread(self._engine.containers, prefix)
        found = {tag.rpartition(":")[2] for tag in tags} | {
            name[len(prefix) :] for name in machines
        }
        if self._registry is not None:
            # Docker may have lost some that the registry has.
            stored = (file.stem for file in (self._root / "images").glob("*.json"))
            found |= {digits for digits in stored if self._reference(f"sha256:{digits}")}
        return sorted(f"sha256:{digits}" for digits in found)

    async def remove(self, image: str) -> None:
        """See `ImagePort.remove`; those for earlier workers are removed with it.

        Those stay in a registry, and so do all of a registry that removes nothing on request.
        """
        digits = hex_of(image)
        machine = self._machine(image)
        await asyncio.to_thread(self._engine.delete, machine.name)
        await asyncio.to_thread(shutil.rmtree, machine.folder, ignore_errors=True)
        if self._registry is not None and (reference := self._reference(image)):
            await asyncio.to_thread(self._registry.delete, reference)
            await asyncio.to_thread(self._engine.remove, reference)
        for tag in await asyncio.to_thread(self._tags):
            if tag.endswith(f":{digits}"):
                await asyncio.to_thread(self._engine.remove, tag)
        with disk.faults(self._root):
            self._details(image).unlink(missing_ok=True)
            self._unpushed(image).unlink(missing_ok=True)
            self._builds.forget(image)

    async def close(self) -> None:
        """See `ImagePort.close`."""
        await self._watch.close()
        await self._builds.close()

    def _tags(self) -> list[str]:
        """Return the names of all images here, for any worker."""
        places = [_REGISTRY]
        if self._registry is not None:
            places.append(self._registry.push or self._registry.address)
        return [tag for place in places for tag in self._engine.tags(f"{place}/{self._network}/*")]

    def _name(self, image: str) -> str:
        return f"{_REGISTRY}/{self._place}:{hex_of(image)}"

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

    async def _store(self, image: str, details: Image, log: BuildLog, scratch: Path) -> None:
        """Store what is known of an image, once it is in the registry, if there is one."""
        if self._registry is not None and not self._is_pushed(details):
            # If that fails, the image need not be built again.
            _write(self._unpushed(image), details)
            self._details(image).unlink(missing_ok=True)
            client = self._client(log, scratch)
            reference = await self._registry.publish(client, self._name(image), self._place)
            details = msgspec.structs.replace(details, reference=reference)
        _write(self._details(image), details)
        self._unpushed(image).unlink(missing_ok=True)

    async def _kept(self, image: str, log: BuildLog, scratch: Path) -> Image | None:
        """Return what is known of an image that need not be built again, and is then here.

        It was made before there was a registry, or was not pushed; or docker has lost it, and the
        registry has it.
        """
        details = _read(self._details(image)) or _read(self._unpushed(image))
        if details is None or await asyncio.to_thread(self._engine.has, self._name(image)):
            return details
        if self._registry is None or not self._is_pushed(details):
            return None
        with contextlib.suppress(BuildFailedError):
            await self._registry.pull(self._client(log, scratch), details.reference)
            return details
        return None

    async def _origin(self, image: str, log: BuildLog, scratch: Path) -> str:
        """Return the name by which docker runs an image, pulled if docker has lost it."""
        name = await asyncio.to_thread(self.container, image)
        if self._registry is not None and not await asyncio.to_thread(self._engine.has, name):
            await self._registry.pull(self._client(log, scratch), name)
        return name

    def _client(self, log: BuildLog, scratch: Path) -> BuildContainer:
        return BuildContainer(host=self._engine.host, name="", log=log, folder=scratch)

    def _reference(self, image: str) -> str:
        """Return the name of an image in the registry; "" if it is not there."""
        details = _read(self._details(image)) if self._registry is not None else None
        return details.reference if details and self._is_pushed(details) else ""

    def _is_pushed(self, details: Image) -> bool:
        """Whether the registry has the image of this worker."""
        registry = self._registry
        return registry is not None and details.reference.startswith(
            registry.reference(self._place, "")
        )

    def _details(self, image: str) -> Path:
        return self._root / "images" / f"{hex_of(image)}.json"

    def _unpushed(self, image: str) -> Path:
        return self._root / "unpushed" / f"{hex_of(image)}.json"

    async def _is_here(self, image: str) -> bool:
        """Whether slots can run in an image, and docker has it."""
        name = self._reference(image) or self._name(image)
        return await self._is_ready(image) and await asyncio.to_thread(self._engine.has, name)

    async def _is_ready(self, image: str) -> bool:
        """Whether slots can run in an image: docker has it, or if there is one, the registry."""
        if self._registry is not None:
            return bool(self._reference(image))
        has = await asyncio.to_thread(self._engine.has, self._name(image))
        return has and self._details(image).exists()


def _read(file: Path) -> Image | None:
    with contextlib.suppress(FileNotFoundError):
        return msgspec.json.decode(file.read_bytes(), type=Image)
    return None


def _write(file: Path, details: Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(details))
