"""The build of a virtual environment: the steps that uv runs."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from picloud_model.wire.environment import Recipe

from picloud_driver.image import worker_packages
from picloud_driver.image.build_step import BuildStep
from picloud_driver.image.port import Image, ImageState
from picloud_driver.image.venv_folder import DETAILS, VenvFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from picloud_driver.image.build_log import BuildLog


class VenvBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The build of one image.

    `interpreter` is the Python that it is made with, `python` its minor version. `uv` is the
    program, and `variables` are the environment of each step.
    """

    folder: VenvFolder
    image: str
    recipe: Recipe
    interpreter: str
    python: str
    uv: str
    variables: Mapping[str, str]

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
        await self._step(log, scratch, "make the environment", [self.uv, *make])
        install = [self.uv, "pip", "install", "--system-certs", "--link-mode", "copy"]
        install += ["--python", str(venv / "bin" / "python")]
        if wanted := worker_packages.missing(worker, self.python):
            target = [*install, "--target", str(worker), *wanted]
            await self._step(log, scratch, "install what the worker needs", target)
        if self.recipe.pip:
            wanted_file, limits = scratch / "requirements.txt", scratch / "constraints.txt"
            wanted_file.write_text("".join(f"{each}\n" for each in self.recipe.pip))
            limits.write_text("".join(f"{each}\n" for each in worker_packages.constraints()))
            files = ["--constraints", str(limits), "--requirements", str(wanted_file)]
            await self._step(log, scratch, "install packages", [*install, *files])
        for path, text in sorted(self.recipe.files.items()):
            target_file = venv / path
            target_file.parent.mkdir(parents=True, exist_ok=True)
            target_file.write_text(text)
        (packages,) = venv.glob("lib/python3.*/site-packages")
        (packages / "picloud_worker.pth").write_text(f"{worker}\n")
        if self.recipe.test:
            await self._step(log, scratch, "test", self.recipe.test, path=venv / "bin")
        await self._finish(log, scratch, venv)

    async def _finish(self, log: BuildLog, scratch: Path, venv: Path) -> None:
        freeze = [self.uv, "pip", "freeze", "--python", str(venv / "bin" / "python")]
        listed = await self._step(log, scratch, "list packages", freeze)
        packages = sorted(each for each in listed.decode().split("\n") if each)
        size = await asyncio.to_thread(_size, venv)
        details = Image(state=ImageState.READY, packages=packages, size=size)
        (venv / DETAILS).write_bytes(msgspec.json.encode(details))
        await asyncio.to_thread(_publish, venv, self.folder.image(self.image))

    async def _step(
        self,
        log: BuildLog,
        scratch: Path,
        what: str,
        command: Sequence[str],
        *,
        path: Path | None = None,
    ) -> bytes:
        """Run a command and log its output; return what it printed to standard output."""
        variables = dict(self.variables, HOME=str(scratch))
        if path is not None:
            variables["PATH"] = f"{path}:{variables['PATH']}"
            variables["VIRTUAL_ENV"] = str(path.parent)
        step = BuildStep(what=what, command=command, variables=variables, folder=scratch)
        return await step.run(log)


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
