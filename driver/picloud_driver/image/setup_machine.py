"""Setup machines on virtual environments: copies of images that users change, and their snapshots.

`pip` in such a copy is uv, with the server's settings of an index: packages are installed in the
way that builds install them, and scripts find their Python wherever the directory is copied to.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import stat
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestConflict

from picloud_driver.image import worker_packages
from picloud_driver.image.build_step import BuildFailedError
from picloud_driver.image.venv_build import DETAILS, VenvSteps, make_writable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from picloud_driver.image.build_log import BuildLog

_CONSTRAINTS: Final = "picloud-constraints.txt"
_PIP: Final = ("bin/pip", "bin/pip3")
_MARK: Final = "# Made by PiCloud: not part of what is saved."
_PRIVATE: Final = 0o700
_COPY: Final = ("cp", "--archive", "--reflink=auto", "--no-target-directory")
_SHOWN: Final = 60
_CHANGED: Final = "a file was changed while it was copied; save again once no command runs."


class BegunMachine(msgspec.Struct, frozen=True, array_like=True):
    """The image that a machine began as, and the signature that it had then.

    It is in no directory that the machine can write to.
    """

    origin: str
    signature: str

    def write(self, file: Path) -> None:
        """Write it to a file, which `snapshot_of` reads."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(self))


class MachineCopy(VenvSteps, frozen=True, kw_only=True):
    """The directory of a setup machine, which is copied from the image `origin`."""

    origin: str

    async def run(self, log: BuildLog, scratch: Path) -> None:
        """Copy the image, and add a `pip`."""
        venv, origin = scratch / "venv", self.folder.image(self.origin)
        await self.step(log, scratch, "copy the environment", [*_COPY, str(origin), str(venv)])
        await asyncio.to_thread(make_writable, venv)
        (venv / _CONSTRAINTS).write_text(worker_packages.constraints())
        for each in _PIP:
            if not (venv / each).exists():
                (venv / each).write_text(self._pip())
                # The settings of an index may have a password in them.
                (venv / each).chmod(_PRIVATE)
        begun = BegunMachine(self.origin, await asyncio.to_thread(signature, venv))
        begun.write(self.folder.begun(self.image))
        await self.finish(log, scratch, venv)

    def _pip(self) -> str:
        machine = self.folder.image(self.image)
        settings = {name: self.variables[name] for name in self.variables if name != "PATH"}
        settings |= {"VIRTUAL_ENV": str(machine), "UV_CONSTRAINT": str(machine / _CONSTRAINTS)}
        settings |= {"UV_LINK_MODE": "copy", "UV_SYSTEM_CERTS": "1"}
        return pip_script(self.uv, settings, f"{_MARK}\n")


class MachineSnapshot(VenvSteps, frozen=True, kw_only=True):
    """The image of what the setup machine `machine` has become, as of its signature."""

    machine: str
    signature: str

    async def run(self, log: BuildLog, scratch: Path) -> None:
        """Copy the directory.

        Raises:
            BuildFailedError: When it is changed meanwhile, or slots cannot start in it.
        """
        venv, machine = scratch / "venv", self.folder.image(self.machine)
        await self.step(log, scratch, "copy the environment", [*_COPY, str(machine), str(venv)])
        if await asyncio.to_thread(signature, machine) != self.signature:
            raise BuildFailedError(f"copy the environment: {_CHANGED}")
        for each in _made(venv):
            each.unlink()
        await self.check(log, scratch, venv)
        await self.finish(log, scratch, venv)


def snapshot_of(machine: str, signature: str, begun: Path) -> str:
    """Return the name of the image of a machine with a signature; if unchanged, its origin.

    The machine is part of the name, so that another account cannot make an image of this name.

    Args:
        machine: The name of the machine.
        signature: What it is like now.
        begun: The file that `BegunMachine.write` wrote.
    """
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        then = msgspec.json.decode(begun.read_bytes(), type=BegunMachine)
        if then.signature == signature:
            return then.origin
    return f"sha256:{sha256(f'{machine} {signature}'.encode()).hexdigest()}"


def signature(folder: Path) -> str:
    """Return a digest of the names, sizes and times of the files in a directory.

    What Python compiles when it imports a module is left out.
    """
    made = {str(each) for each in _made(folder)}
    entries = []
    for above, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != "__pycache__"]
        for name in (*names, *folders):
            path = os.path.join(above, name)  # noqa: PTH118 - many files
            if path in made:
                continue
            status = os.lstat(path)
            entry = [os.path.relpath(path, folder), str(status.st_mode)]
            if stat.S_ISREG(status.st_mode):
                entry += [str(status.st_size), str(status.st_mtime_ns)]
            elif stat.S_ISLNK(status.st_mode):
                entry.append(os.readlink(path))  # noqa: PTH115 - as above
            entries.append("\0".join(entry))
    return sha256("\n".join(sorted(entries)).encode(errors="surrogateescape")).hexdigest()


def refuse_busy(folder: Path) -> None:
    """Refuse to save a machine in which a command runs.

    Raises:
        RequestConflict: When one does; it names the command. A shell that waits for input is none.
    """
    refuse_commands(_commands(f"{folder}/bin:".encode()))


def refuse_commands(commands: Iterable[str]) -> None:
    """Refuse to save a machine if commands run in it.

    Raises:
        RequestConflict: When there are any; it names the first.
    """
    for command in commands:
        shown = command if len(command) <= _SHOWN else f"{command[:_SHOWN]}..."
        message = f"A command runs in the setup machine: {shown!r}. Save once it has ended."
        raise RequestConflict(message, field="name")


def pip_script(uv: str, settings: Mapping[str, str], mark: str = "") -> str:
    """Return the `pip` of a machine: a script that runs uv with these variables.

    >>> print(pip_script("/bin/uv", {"UV_LINK_MODE": "copy"}), end="")
    #!/bin/sh
    export UV_LINK_MODE=copy
    exec /bin/uv pip "$@"
    """
    exports = "".join(f"export {name}={shlex.quote(text)}\n" for name, text in settings.items())
    return f'#!/bin/sh\n{mark}{exports}exec {shlex.quote(uv)} pip "$@"\n'


def _made(folder: Path) -> list[Path]:
    """Return the files in the directory of a machine that are not part of what is saved."""
    found = [folder / _CONSTRAINTS, folder / DETAILS]
    return [each for each in found if each.exists()] + [
        path for path in (folder / each for each in _PIP) if _is_made(path)
    ]


def _is_made(path: Path) -> bool:
    try:
        return _MARK.encode() in path.read_bytes()[:200]
    except OSError:
        return False


def _commands(beginning: bytes) -> Iterator[str]:
    """Yield the commands of processes on whose PATH a directory is the first."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - only the names are needed
        if not name.isdigit():
            continue
        process = Path("/proc", name)
        try:
            if b"\0PATH=" + beginning not in b"\0" + (process / "environ").read_bytes():
                continue
            words = (process / "cmdline").read_bytes().split(b"\0")[:-1]
            # The name of the program, which is in brackets, may contain spaces and brackets.
            numbers = (process / "stat").read_text(errors="replace").rpartition(") ")[2].split()
        except (OSError, ValueError):
            continue
        group, session, terminal, foreground = map(int, numbers[2:6])
        leads = session == int(name) and len(words) == 1
        if words and not (leads and terminal and foreground == group):
            yield b" ".join(words).decode(errors="replace")
