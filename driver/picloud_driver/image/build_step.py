"""A step of a build: a command whose output is logged, and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from picloud_driver.image.build_log import BuildLog

LONGEST_S: Final = 1800.0
"""How long one step of a build may take."""
_NAME: Final = 80
"""How much of a command is shown in its name."""
_CHUNK: Final = 64 * 1024
_OFFLINE: Final = ("client error (Connect)", "dns error", "network was disabled")


class BuildFailedError(Exception):
    """A step of a build failed; the text says which one, and its last lines."""


def numbered(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return the names and commands of the steps that run the lines of a recipe.

    >>> numbered(["make install"])
    [('command 1 (make install)', ['/bin/sh', '-e', '-c', 'make install'])]
    """
    return [
        (f"command {number} ({_shortened(line)})", ["/bin/sh", "-e", "-c", line])
        for number, line in enumerate(lines, 1)
    ]


def _shortened(line: str) -> str:
    """Return the beginning of a line as one line.

    >>> _shortened("make   install")
    'make install'
    """
    text = " ".join(line.split())
    return text if len(text) <= _NAME else f"{text[: _NAME - 4]} ..."


class BuildStep(msgspec.Struct, frozen=True, kw_only=True):
    """A command of a build.

    `what` names it in the log and in errors. `variables` are its whole environment, and `folder` is
    where it runs. The output of a step that is not `shown` is kept for its error only.
    """

    what: str
    command: Sequence[str]
    variables: Mapping[str, str]
    folder: Path
    shown: bool = True

    async def run(self, log: BuildLog) -> bytes:
        """Run the command; return what it printed to standard output.

        Raises:
            BuildFailedError: When it does not exist, fails or takes too long.
        """
        log.begin(self.what if self.shown else "")
        program = self.command[0]
        found = shutil.which(program, path=self.variables["PATH"])
        if found is None:
            raise BuildFailedError(no_program(self.what, program))
        process = await asyncio.create_subprocess_exec(
            found,
            *self.command[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env=self.variables,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with asyncio.timeout(LONGEST_S):
                streams = (self._logged(each, log) for each in (process.stdout, process.stderr))
                printed, _ = await asyncio.gather(*streams)
                status = await process.wait()
        except TimeoutError:
            message = f"{self.what}: it took longer than {LONGEST_S:.0f} s."
            raise BuildFailedError(message) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.returncode is None:
                await process.wait()
        if status:
            raise BuildFailedError(self._failure(status, log.tail()))
        return printed

    async def _logged(self, stream: asyncio.StreamReader, log: BuildLog) -> bytes:
        kept = b""
        while data := await stream.read(_CHUNK):
            log.add(data, shown=self.shown)
            kept = (kept + data)[:_CHUNK]
        return kept

    def _failure(self, status: int, tail: str) -> str:
        text = f"{self.what}: {tail or f'exit status {status}'}"
        if any(sign in tail for sign in _OFFLINE):
            text += (
                " The server cannot reach the package index; see its network and UV_DEFAULT_INDEX."
            )
        return text


def no_program(what: str, program: str) -> str:
    """Return the message about a command whose program does not exist."""
    return f"{what}: there is no program {program[:200]!r}."


def uv_program() -> str:
    """Return the path of uv.

    Raises:
        Unavailable: When it is not installed.
    """
    try:
        import uv  # noqa: PLC0415 - servers without environments work without it
    except ModuleNotFoundError:
        message = "uv, which makes environments, is not installed; pip install 'picloud[server]'."
        raise Unavailable(message) from None
    try:
        return uv.find_uv_bin()
    except FileNotFoundError:
        raise Unavailable("The program of the package uv is missing; install uv again.") from None
