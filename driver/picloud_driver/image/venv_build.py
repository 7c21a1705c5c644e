"""Virtual environments of one server: where each image is, and the steps by which uv builds it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.environment import Recipe

from picloud_driver.image import worker_packages
from picloud_driver.image.build_step import BuildStep, numbered
from picloud_driver.image.builds import hex_of
from picloud_driver.image.port import Image, ImageState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.image.build_log import BuildLog


DETAILS: Final = "picloud-environment.json"
"""The file of an image that lists what is in it."""


class VenvFolder(msgspec.Struct, frozen=True):
    """The files below the root of one server.

    >>> VenvFolder(Path("/data")).python("sha256:" + 64 * "0").parts[-2:]
    ('bin', 'python')
    """

    root: Path

    def image(self, image: str) -> Path:
        """Return the directory of an image, which exists only once it is complete."""
        return self.root / "images" / hex_of(image)

    def python(self, image: str) -> Path:
        """Return the interpreter of an image."""
        return self.image(image) / "bin" / "python"

    def begun(self, machine: str) -> Path:
        """Return the file that says what a setup machine began as."""
        return self.root / "machines" / f"{hex_of(machine)}.json"

    def worker(self, python: str) -> Path:
        """Return the directory from which interpreters of a minor version import the worker."""
        return self.root / "worker" / python


class VenvSteps(msgspec.Struct, frozen=True, kw_only=True):
    """What the ways to make an image have in common.

    `uv` is the program, and `variables` are the environment of each step.
    """

    folder: VenvFolder
    image: str
    uv: str
    variables: Mapping[str, str]

    async def step(
        self,
        log: BuildLog,
        scratch: Path,
        what: str,
        command: Sequence[str],
        *,
        path: Path | None = None,
        folder: Path | None = None,
    ) -> bytes:
        """Run a command and log its output; return what it printed to standard output."""
        variables = dict(self.variables, HOME=str(scratch))
        if path is not None:
            variables["PATH"] = f"{path}:{variables['PATH']}"
            variables["VIRTUAL_ENV"] = str(path.parent)
        step = BuildStep(what=what, command=command, variables=variables, folder=folder or scratch)
        return await step.run(log)

    async def finish(self, log: BuildLog, scratch: Path, venv: Path) -> None:
        """Make the image of a directory on the same disk, with a list of what is in it."""
        freeze = [self.uv, "pip", "freeze", "--python", str(venv / "bin" / "python")]
        listed = await self.step(log, scratch, "list packages", freeze)
        packages = sorted(each for each in listed.decode().split("\n") if each)
        size = await asyncio.to_thread(_size, venv)
        details = Image(state=ImageState.READY, packages=packages, size=size)
        (venv / DETAILS).write_bytes(msgspec.json.encode(details))
        await asyncio.to_thread(_publish, venv, self.folder.image(self.image))


class VenvBuild(VenvSteps, frozen=True, kw_only=True):
    """The build of one image from a recipe.

    `interpreter` is the Python that it is made with, and `python` its minor version.
    """

    recipe: Recipe
    interpreter: str
    python: str

    async def run(self, log: BuildLog, scratch: Path) -> None:
        """Build the image in a directory on the same disk.

        Raises:
            BuildFailedError: When a step fails.
            OSError: When a file cannot be written.
        """
        venv = scratch / "venv"
        worker = self.folder.worker(self.python)
        worker_packages.link(worker, self.python)
        make = ("venv", "--relocatable", "--no-project", "--python", self.interpreter, str(venv))
        await self.step(log, scratch, "make the environment", [self.uv, *make])
        install = [self.uv, "pip", "install", "--system-certs", "--link-mode", "copy"]
        install += ["--python", str(venv / "bin" / "python")]
        if wanted := worker_packages.missing(worker, self.python):
            target = [*install, "--target", str(worker), *wanted]
            await self.step(log, scratch, "install what the worker needs", target)
        if self.recipe.pip:
            wanted_file, limits = scratch / "requirements.txt", scratch / "constraints.txt"
            wanted_file.write_text("".join(f"{each}\n" for each in self.recipe.pip))
            limits.write_text(worker_packages.constraints())
            files = ["--constraints", str(limits), "--requirements", str(wanted_file)]
            await self.step(log, scratch, "install packages", [*install, *files])
        for path, text in sorted(self.recipe.files.items()):
            target_file = venv / path
            target_file.parent.mkdir(parents=True, exist_ok=True)
            target_file.write_text(text)
        (packages,) = venv.glob("lib/python3.*/site-packages")
        (packages / "picloud_worker.pth").write_text(f"{worker}\n")
        for what, command in numbered(self.recipe.commands):
            await self.step(log, scratch, what, command, path=venv / "bin", folder=venv)
        if self.recipe.test:
            await self.step(log, scratch, "test", self.recipe.test, path=venv / "bin")
        await self.finish(log, scratch, venv)


def _publish(venv: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # In one step: no slot ever starts in half an environment.
    venv.rename(target)


def _size(folder: Path) -> int:
    total = 0
    for above, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(above, name))  # noqa: PTH118 - many files
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total
