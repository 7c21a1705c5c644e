"""The build of a virtual environment: the steps that uv runs, and how one of them fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
from collections.abc import Mapping
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.environment import Recipe

from picloud_driver import disk
from picloud_driver.image import worker_packages
from picloud_driver.image.port import Image, ImageState
from picloud_driver.image.venv_folder import DETAILS, VenvFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from picloud_driver.image.build_log import BuildLog

LONGEST_S: Final = 1800.0
"""How long one step of a build may take."""
_CHUNK: Final = 64 * 1024
_OFFLINE: Final = ("client error (Connect)", "dns error", "network was disabled")
_MODE: Final = 0o755


class BuildFailedError(Exception):
    """A step of a build failed; the text says which one, and its last lines."""


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

    async def run(self, log: BuildLog) -> None:
        """Build the image.

        Raises:
            BuildFailedError: When a step fails.
            OSError: When a file cannot be written.
        """
        scratch = self.folder.scratch / token_hex(8)
        scratch.mkdir(mode=_MODE, parents=True)
        try:
            await self._install(log, scratch)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def _install(self, log: BuildLog, scratch: Path) -> None:
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
        log.begin(what)
        variables = dict(self.variables, HOME=str(scratch))
        if path is not None:
            variables["PATH"] = f"{path}:{variables['PATH']}"
            variables["VIRTUAL_ENV"] = str(path.parent)
        program = command[0]
        found = shutil.which(program, path=variables["PATH"])
        if found is None:
            raise BuildFailedError(f"{what}: there is no program {program[:200]!r}.")
        process = await asyncio.create_subprocess_exec(
            found,
            *command[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=scratch,
            env=variables,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(LONGEST_S):
                printed, _ = await asyncio.gather(
                    _logged(process.stdout, log), _logged(process.stderr, log)
                )
                status = await process.wait()
        except TimeoutError:
            raise BuildFailedError(f"{what}: it took longer than {LONGEST_S:.0f} s.") from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.returncode is None:
                await process.wait()
        if status:
            raise BuildFailedError(_failure(what, status, log.tail()))
        return printed


async def _logged(stream: asyncio.StreamReader, log: BuildLog) -> bytes:
    kept = b""
    while data := await stream.read(_CHUNK):
        log.add(data)
        kept = (kept + data)[:_CHUNK]
    return kept


def _failure(what: str, status: int, tail: str) -> str:
    text = f"{what}: {tail or f'exit status {status}'}"
    if any(sign in tail for sign in _OFFLINE):
        text += " The server cannot reach the package index; see its network and UV_DEFAULT_INDEX."
    return text


def described(fault: OSError, where: Path) -> str:
    """Return why a build failed for a reason that is not in its recipe."""
    return disk.refusal(fault, where).message


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
