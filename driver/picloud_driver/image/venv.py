"""Images as virtual environments of this machine, which uv makes: one directory for each digest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import RequestConflict, RequestRefused, Unavailable
from picloud_model.wire.environment import OWN_BASES, EnvironmentBase

from picloud_driver import disk
from picloud_driver.image import recipe_check, setup_machine, worker_packages
from picloud_driver.image.build_step import uv_program
from picloud_driver.image.builds import Builds
from picloud_driver.image.port import MACHINES_ARE_JOBS, Image, ImagePort, ImageState
from picloud_driver.image.setup_machine import MachineCopy, MachineSnapshot
from picloud_driver.image.venv_build import DETAILS, VenvBuild, VenvFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_model.wire import TunnelOrder
    from picloud_model.wire.environment import Recipe

_LISTED_S: Final = 60.0
_OLDEST: Final = (3, 11)
_MISSING: Final = "The job's environment is missing on this machine; build it again."


class _Found(msgspec.Struct, frozen=True):
    """An interpreter, as uv lists it."""

    version: str
    path: str
    implementation: str = ""
    variant: str = "default"


class VenvImages(ImagePort):
    """Builds virtual environments below a directory of the server, as its own user.

    Args:
        root: The directory of environments; made with the first build.
        variables: The environment of builds: `PATH`, and settings of uv such as an index.
    """

    adapter: ClassVar[str] = "venv"

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.folder = VenvFolder(root)
        self._given = variables
        self._builds = Builds(root)
        own = _Found(".".join(map(str, sys.version_info[:3])), sys.executable, "cpython")
        self.default_base = _described(own)
        self._bases = {self.default_base.name: own}
        self._listed_until = 0.0
        self._listing = asyncio.Lock()
        self._linked: set[str] = set()
        """Images whose Python finds the worker of this server."""

    def __repr__(self) -> str:
        return f"VenvImages({str(self.folder.root)!r})"

    @cached_property
    def _variables(self) -> dict[str, str]:
        from platformdirs import user_cache_path  # noqa: PLC0415 - only builds need it

        return {
            "PATH": os.defpath,
            # Shared by the servers of this user: each download is needed once.
            "UV_CACHE_DIR": str(user_cache_path("picloud") / "uv"),
            **self._given,
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def interpreter(self, image: str) -> str:
        """Return the Python of an image, for the slots that run in it.

        Raises:
            Unavailable: When the image is not on this machine.
        """
        with self._faults():
            python = self.folder.python(image)
            if not python.exists():
                raise Unavailable(_MISSING)
            if image not in self._linked:
                (packages,) = self.folder.image(image).glob("lib/python3.*")
                minor = packages.name.removeprefix("python")
                worker_packages.link(self.folder.worker(minor), minor)
                self._linked.add(image)
        return str(python)

    async def bases(self) -> Sequence[EnvironmentBase]:
        """See `ImagePort.bases`: every CPython of this machine, a minor version once."""
        with self._faults():
            await self._find_bases()
        return [_described(each) for each in self._bases.values()]

    def refusal(self, recipe: Recipe) -> str:
        """See `ImagePort.refusal`: Debian packages, and what no recipe may contain."""
        if recipe.apt:
            return (
                "Debian packages cannot be installed here: environments of this server are virtual "
                "environments of its machine. Leave out apt, and install them on the machine."
            )
        return recipe_check.refusal(recipe)

    async def start(self, image: str, recipe: Recipe, base: str) -> None:
        """See `ImagePort.start`; builds of the same image in other processes share a lock."""
        with self._faults():
            if self.folder.image(image).exists():
                return
            interpreter = await self._interpreter(base)
            build = VenvBuild(
                folder=self.folder,
                image=image,
                recipe=recipe,
                interpreter=interpreter.path,
                python=_minor(interpreter.version),
                uv=uv_program(),
                variables=self._variables,
            )
            await self._builds.begin(image, lambda: self._is_ready(image), build.run)

    async def open(self, machine: str, image: str) -> None:
        """See `ImagePort.open`."""
        with self._faults():
            if not self.folder.image(image).exists():
                raise Unavailable(_MISSING)
            copy = MachineCopy(
                folder=self.folder,
                image=machine,
                uv=uv_program(),
                variables=self._variables,
                origin=image,
            )
            await self._builds.begin(machine, lambda: self._is_ready(machine), copy.run)

    async def snapshot(self, machine: str) -> str:
        """See `ImagePort.snapshot`; a machine is changed by the processes of its shells only."""
        with self._faults():
            folder = self.folder.image(machine)
            if not folder.exists():
                raise Unavailable(_MISSING)
            await asyncio.to_thread(setup_machine.refuse_busy, folder)
            signature = await asyncio.to_thread(setup_machine.signature, folder)
            begun = self.folder.begun(machine)
            image = setup_machine.snapshot_of(machine, signature, begun)
            taken = MachineSnapshot(
                folder=self.folder,
                image=image,
                uv=uv_program(),
                variables=self._variables,
                machine=machine,
                signature=signature,
            )
            await self._builds.begin(image, lambda: self._is_ready(image), taken.run)
            return image

    async def find(self, image: str) -> Image:
        """See `ImagePort.find`."""
        with self._faults():
            details = self.folder.image(image) / DETAILS
            if self._builds.is_running(image):
                return Image(state=ImageState.BUILDING)
            # After the look at the lock, which is released once the image is there.
            with contextlib.suppress(FileNotFoundError):
                return msgspec.json.decode(details.read_bytes(), type=Image)
            problem = self._builds.problem(image)
            return Image(state=ImageState.FAILED if problem else ImageState.ABSENT, problem=problem)

    async def log(self, image: str, offset: int) -> bytes:
        """See `ImagePort.log`."""
        with self._faults():
            return self._builds.log(image, offset)

    async def serve_shell(self, machine: str, order: TunnelOrder) -> None:
        """See `ImagePort.serve_shell`."""
        del machine, order
        raise RequestConflict(MACHINES_ARE_JOBS, field="name")

    async def names(self) -> Sequence[str]:
        """See `ImagePort.names`."""
        with self._faults():
            found = (self.folder.root / "images").glob("*")
            return [f"sha256:{each.name}" for each in found if not each.name.startswith(".")]

    async def remove(self, image: str) -> None:
        """See `ImagePort.remove`."""
        with self._faults():
            scratch = self._builds.scratch
            folder, doomed = self.folder.image(image), scratch / image[-16:]
            scratch.mkdir(parents=True, exist_ok=True)
            # Renamed first: half of it must not be found.
            with contextlib.suppress(FileNotFoundError):
                folder.rename(doomed)
            self.folder.begun(image).unlink(missing_ok=True)
            await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)
            self._builds.forget(image)

    async def close(self) -> None:
        """See `ImagePort.close`."""
        await self._builds.close()

    async def _is_ready(self, image: str) -> bool:
        return self.folder.image(image).exists()

    async def _interpreter(self, base: str) -> _Found:
        if base not in self._bases:
            await self._find_bases()
        try:
            return self._bases[base]
        except KeyError:
            names = ", ".join(self._bases)
            message = f"There is no base {base[:100]!r} on this server; there are {names}."
            raise RequestRefused(message, field="recipe.base") from None

    async def _find_bases(self) -> None:
        """List the interpreters of this machine, at most once a minute; the server's comes first.

        They are those on PATH, and what uv and pyenv have installed for the server's user.
        """
        # Others wait for a listing under way: the one before may lack the interpreter they need.
        async with self._listing:
            if time.monotonic() >= self._listed_until:
                self._bases = await self._list_bases()
                self._listed_until = time.monotonic() + _LISTED_S

    async def _list_bases(self) -> dict[str, _Found]:
        own = self.default_base.name
        bases = {own: self._bases[own]}
        listing = ("python", "list", "--only-installed", "--output-format", "json")
        pyenv = sorted(map(str, Path.home().glob(".pyenv/versions/*/bin")))
        path = os.pathsep.join([*pyenv, self._variables["PATH"]])
        process = await asyncio.create_subprocess_exec(
            uv_program(),
            *listing,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**self._variables, "HOME": str(Path.home()), "PATH": path},
        )
        printed, _ = await process.communicate()
        # A version that cannot be read must not cost the other interpreters.
        with contextlib.suppress(msgspec.MsgspecError, ValueError):
            for each in msgspec.json.decode(printed, type=list[_Found]):
                minor = tuple(map(int, _minor(each.version).split(".")))
                is_usual = (each.implementation, each.variant) == ("cpython", "default")
                if is_usual and minor >= _OLDEST:
                    bases.setdefault(_described(each).name, each)
        return bases

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        with disk.faults(self.folder.root):
            yield


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _described(found: _Found) -> EnvironmentBase:
    python = _minor(found.version)
    name = f"{OWN_BASES}python{python}"
    return EnvironmentBase(name=name, python=python, desc=f"CPython {found.version}")
