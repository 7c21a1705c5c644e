"""What a job of `cloud.shell` does: it runs a shell command and returns what that printed."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.wire import MAX_RESULT_BYTES

from cloud._config.settings import environment
from cloud._jobs.command_template import environment_name, render
from cloud.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud._jobs.command_template import Command

_CHUNK: Final = 65536
_TAIL_BYTES: Final = 4000
"""How much of its last words a command that failed is quoted with."""
_TAIL_LINES: Final = 20


def run(command: Command, *values: str) -> str:
    r"""Run a command; this is the function of every job that `cloud.shell` makes.

    Returns:
        What it wrote to stdout, or into `return_file`; bytes that are not UTF-8 are kept as
        `os.fsdecode` does.

    Raises:
        CommandFailed: When its exit code is not zero, unless that is to be ignored; when it cannot
            run; when the file to return is not there.

    >>> from cloud.shell import Command
    >>> run(Command(command="echo {w1}, {w2}", values={"w1": "hello"}, names=("w2",)), "world")
    'hello, world\n'
    """
    given = {**command.values, **dict(zip(command.names, values, strict=True))}
    try:
        process = subprocess.Popen(  # noqa: S602 - a shell command is what was asked for
            render(command.command),
            shell=True,
            cwd=command.cwd,
            env=_environment(given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(_not_run(command, error)) from None
    with process:
        try:
            printed, last_words = _followed(process, keep=command.return_file is None)
        except CommandFailed:
            process.kill()
            raise
        except BaseException:
            # The job was told to end, and so was the command: it may take its leave as we may.
            process.wait()
            raise
    if process.returncode and not command.ignore_exit_status:
        raise _failed(process.returncode, last_words)
    return _decoded(printed if command.return_file is None else _read(command))


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    found = environment()
    programs = str(Path(sys.executable).parent)
    if shutil.which("picloud") is None and Path(programs, "picloud").exists():
        # Behind all others: of our programs a command may want `picloud` only.
        found["PATH"] = os.pathsep.join(filter(None, (found.get("PATH"), programs)))
    return found | {environment_name(name): value for name, value in given.items()}


class _Whole:
    """Keeps everything, up to the largest result."""

    def __init__(self) -> None:
        self.data = bytearray()

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        self.data += data
        if len(self.data) > MAX_RESULT_BYTES:
            raise CommandFailed(
                f"the command printed more than {MAX_RESULT_BYTES:,} bytes, the most that a "
                "result may have: let it write to a file"
            )


class _Tail:
    """Keeps the last bytes."""

    def __init__(self) -> None:
        self.data = bytearray()

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        self.data += data
        del self.data[:-_TAIL_BYTES]


def _followed(process: subprocess.Popen[bytes], *, keep: bool) -> tuple[bytes, str]:
    """Pass on what a command prints until it ends; its stdout, and the last words of its stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = _Whole() if keep else _Tail(), _Tail()
    # What it leaves running in the background may hold the pipes: it has ended all the same.
    ended = _pidfd(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, (1, out))
            selector.register(process.stderr, selectors.EVENT_READ, (2, err))
            if ended >= 0:
                selector.register(ended, selectors.EVENT_READ)
            _pass_on(selector, ended)
    finally:
        if ended >= 0:
            os.close(ended)
    process.wait()
    return bytes(out.data), err.data.decode(errors="replace")


def _pidfd(pid: int) -> int:
    """A descriptor that can be read when a process has ended; -1 where there is no such thing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes do not allow it
            return os.pidfd_open(pid)
    return -1


def _pass_on(selector: selectors.BaseSelector, ended: int) -> None:
    streams, over = 2, False
    while streams:
        ready = selector.select(0 if over else None)
        if over and not ready:
            return
        for key, _ in ready:
            if key.fd == ended:
                selector.unregister(ended)
                over = True
                continue
            data = os.read(key.fd, _CHUNK)
            if not data:
                selector.unregister(key.fileobj)
                streams -= 1
                continue
            ours, stream = key.data
            _write(ours, data)
            stream.take(data)


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the job's own output may be closed: its result is not
        while data:
            data = data[os.write(descriptor, data) :]


def _failed(code: int, last_words: str) -> CommandFailed:
    if code > 0:
        said = f"command terminated with nonzero return code {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        said = f"command was ended by signal {-code} ({name})"
    lines = last_words.rstrip().splitlines()[-_TAIL_LINES:]
    return CommandFailed(said, code, "\n".join(lines))


def _not_run(command: Command, error: OSError | ValueError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError)) and command.cwd:
        return f"cannot run in {command.cwd}: {error.strerror}"
    reason = getattr(error, "strerror", None) or str(error)
    return f"the command cannot run: {reason}"


def _read(command: Command) -> bytes:
    path = Path(command.cwd or "", command.return_file or "")
    try:
        if path.stat().st_size > MAX_RESULT_BYTES:
            raise CommandFailed(
                f"{command.return_file} is larger than {MAX_RESULT_BYTES:,} bytes, the most that "
                "a result may have"
            )
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(
            f"the command ended, but its file {command.return_file} cannot be read: "
            f"{error.strerror}"
        ) from None


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
