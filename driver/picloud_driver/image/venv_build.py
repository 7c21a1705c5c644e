"""Virtual environments of one server: where each image is, and the steps by which uv builds it."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.environment import Recipe

from picloud_driver.image import worker_packages
from picloud_driver.image.build_step import BuildFailedError, BuildStep, numbered
from picloud_driver.image.builds import hex_of
from picloud_driver.image.port import Image, ImageState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_driver.image.build_log import BuildLog


DETAILS: Final = "picloud-environment.json"
"""The file of an image that lists what is in it."""
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_PIN: Final = re.compile(r"\w[\w.-]*==[^\s;,*]+( ;.+)?")


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
        shown: bool = True,
    ) -> bytes:
        """Run a command and log its output; return what it printed to standard output."""
        variables = dict(self.variables, HOME=str(scratch))
        if path is not None:
            variables["PATH"] = f"{path}:{variables['PATH']}"
            variables["VIRTUAL_ENV"] = str(path.parent)
        step = BuildStep(
            what=what,
            command=command,
            variables=variables,
            folder=folder or scratch,
            shown=shown,
        )
        return await step.run(log)

    async def check(self, log: BuildLog, scratch: Path, venv: Path) -> None:
        """Check that slots can start in an environment.

        Raises:
            BuildFailedError: When they cannot; it has the last lines of what Python prints.
        """
        command = [str(venv / "bin" / "python"), *worker_packages.IMPORT]
        await self.step(log, scratch, worker_packages.CHECK, command)

    async def finish(self, log: BuildLog, scratch: Path, venv: Path) -> None:
        """Make the image of a directory on the same disk, with a list of what is in it.

        Links to files of a cache are protected from now on.
        """
        freeze = [self.uv, "pip", "freeze", "--python", str(venv / "bin" / "python")]
        listed, size = await asyncio.gather(
            self.step(log, scratch, "list packages", freeze),
            asyncio.to_thread(_protect_links, venv),
        )
        packages = sorted(each for each in listed.decode().split("\n") if each)
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
        install = [self.uv, "pip", "install", "--system-certs"]
        install += ["--python", str(venv / "bin" / "python")]
        if wanted := worker_packages.missing(worker, self.python):
            target = [*install, "--link-mode", "copy", "--target", str(worker), *wanted]
            await self.step(log, scratch, "install what the worker needs", target)
        if self.recipe.pip:
            await self._install(log, scratch, venv, install)
        for path, text in sorted(self.recipe.files.items()):
            target_file = venv / path
            target_file.parent.mkdir(parents=True, exist_ok=True)
            target_file.unlink(missing_ok=True)  # it may be a link to a file of the cache
            target_file.write_text(text)
        (packages,) = venv.glob("lib/python3.*/site-packages")
        (packages / "picloud_worker.pth").write_text(f"{worker}\n")
        for what, command in numbered(self.recipe.commands):
            await self.step(log, scratch, what, command, path=venv / "bin", folder=venv)
        if self.recipe.test:
            await asyncio.to_thread(_protect_links, venv)
            await self.step(log, scratch, "test", self.recipe.test, path=venv / "bin")
        # The packages of a recipe are constrained to versions with which the worker runs.
        if self.recipe.commands or any(each.startswith("lib/") for each in self.recipe.files):
            await self.check(log, scratch, venv)
        await self.finish(log, scratch, venv)

    async def _install(self, log: BuildLog, scratch: Path, venv: Path, install: list[str]) -> None:
        """Install the packages of the recipe.

        Their files are clones of those in the cache of uv or else links to them, which takes a
        tenth of the time of copies. Nothing may write to links, but commands of a recipe do.
        """
        is_linked = not self.recipe.commands and _are_on_one_disk(
            Path(self.variables["UV_CACHE_DIR"]), scratch
        )
        wanted, limits = scratch / "requirements.txt", scratch / "constraints.txt"
        wanted.write_text("".join(f"{each}\n" for each in self.recipe.pip))
        limits.write_text(worker_packages.constraints())
        install += ["--link-mode", "clone" if is_linked else "copy"]
        install += ["--constraints", str(limits), "--requirements", str(wanted)]
        if not (are_pins(self.recipe.pip) and await self._is_cached(log, scratch, venv, install)):
            await self.step(log, scratch, "install packages", install)
        if not is_linked:
            await asyncio.to_thread(make_writable, venv)

    async def _is_cached(
        self, log: BuildLog, scratch: Path, venv: Path, install: Sequence[str]
    ) -> bool:
        """Install pinned packages that are in the cache, and return whether that is all.

        No index is read, which takes longer than everything else of a build. What is missing, or
        is needed but not pinned, is for a second step.
        """
        check = [self.uv, "pip", "check", "--python", str(venv / "bin" / "python")]
        try:
            for command in ([*install, "--offline", "--no-deps"], check):
                await self.step(log, scratch, "install from the cache", command, shown=False)
        except BuildFailedError:
            return False
        log.begin("install packages")
        log.add(b"All packages are in the cache.\n")
        return True


def are_pins(requirements: Sequence[str]) -> bool:
    """Whether each of them names one version of a package, and no extras.

    >>> are_pins(["numpy==2.1.0", "six==1.17.0 ; python_version > '3'"])
    True
    >>> [are_pins([each]) for each in ("numpy", "numpy>=2", "numpy==2.*", "uvicorn[standard]==1")]
    [False, False, False, False]
    """
    return all(_PIN.fullmatch(each) for each in requirements)


def make_writable(folder: Path) -> None:
    """Let their owner write to the files of a directory; none of them is a link."""
    for file in _files(folder):
        mode = stat.S_IMODE(file.stat(follow_symlinks=False).st_mode)
        if not mode & stat.S_IWUSR:
            Path(file).chmod(mode | stat.S_IWUSR)


def _protect_links(folder: Path) -> int:
    """Make files that are links to others read-only; return how many bytes all files have.

    Both need what is known of each file, which takes longer than anything that is done with it.
    """
    size = 0
    for file in _files(folder):
        status = file.stat(follow_symlinks=False)
        size += status.st_size
        if status.st_nlink > 1 and status.st_mode & _WRITABLE:
            Path(file).chmod(stat.S_IMODE(status.st_mode) & ~_WRITABLE)
    return size


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a directory and those below it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
    for each in folders:
        yield from _files(each)


def _are_on_one_disk(*paths: Path) -> bool:
    """Whether all paths are, or will be, in one file system."""
    present = (next(each for each in (path, *path.parents) if each.exists()) for path in paths)
    return len({each.stat().st_dev for each in present}) == 1


def _publish(venv: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # In one step: no slot ever starts in half an environment.
    venv.rename(target)
