"""The functions of `cloud.shell`'s jobs, and of those that exist for the shells opened in them."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from picloud_model.job_socket import address, shells_name
from picloud_model.wire import MAX_RESULT_BYTES

from cloud._arguments.command_template import environment_name, render
from cloud._config.settings import ClientSettings, environment
from cloud.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud._arguments.command_template import Command

FIRST_SHELL_S: Final = 300.0
"""How long a job that exists for shells waits for the first one."""
NEXT_SHELL_S: Final = 2.0
"""How long such a job waits for another shell after the last one was closed."""
_CHUNK: Final = 65536
_TAIL_BYTES: Final = 4000
"""How much of a failed command's standard error is quoted."""
_TAIL_LINES: Final = 20
_NOT_FOUND: Final = 127
"""The exit status of a shell that did not find the program."""


def run(command: Command, *values: str) -> str:
    r"""Run a command; this is the function of every job of `cloud.shell`.

    Returns:
        What it wrote to stdout, or the content of `return_file`. Bytes that are not UTF-8 are kept
        as `os.fsdecode` keeps them.

    Raises:
        CommandFailed: When its exit status is not zero and not ignored, when it cannot run, or when
            the file to return does not exist.

    >>> from cloud.shell import Command
    >>> run(Command(command="echo {w1}, {w2}", values={"w1": "hello"}, names=("w2",)), "world")
    'hello, world\n'
    """
    texts = {**command.values, **dict(zip(command.names, values, strict=True))}
    try:
        process = _started(command, texts)
    except (OSError, ValueError) as error:
        raise CommandFailed(_not_run(command, error)) from None
    with process:
        try:
            stdout, stderr = _communicate(process, keep=command.return_file is None)
        except CommandFailed:
            process.kill()
            raise
        except BaseException:
            # The job is being terminated, and so is the command: it has as long to end as the job.
            process.wait()
            raise
    if process.returncode and not command.ignore_exit_status:
        raise _failed(process.returncode, stderr)
    return _decoded(stdout if command.return_file is None else _read(command))


def host_shells(*, keep_alive: bool = False) -> None:
    """Run until the last shell that was opened in this job is closed; of `picloud exec-shell`.

    Args:
        keep_alive: Run until the job is killed.

    Raises:
        CommandFailed: When no shell is opened within 5 minutes.
    """
    if keep_alive:
        threading.Event().wait()
    name = ClientSettings.read().job_socket or ""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address(shells_name(name)))
        listener.listen()
        selector.register(listener, selectors.EVENT_READ)
        patience_s = FIRST_SHELL_S
        while True:
            # The listener is always registered, the others are shells.
            has_shells = len(selector.get_map()) > 1
            ready = selector.select(None if has_shells else patience_s)
            if not ready and patience_s == FIRST_SHELL_S:
                raise CommandFailed("no shell was opened within 5 minutes")
            if not ready:
                return
            for key, _ in ready:
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    patience_s = NEXT_SHELL_S
                else:
                    _close_ended(selector, key.fileobj)


def host_setup() -> None:
    """Run until the job is killed, for shells that change its environment; of `picloud env create`.

    They begin in the directory of the environment, as what is written elsewhere is not saved.
    """
    os.chdir(sys.prefix)
    host_shells(keep_alive=True)


def _close_ended(selector: selectors.BaseSelector, shell: Any) -> None:
    """Forget a shell server that has closed its connection; it sends nothing."""
    with contextlib.suppress(OSError):
        if shell.recv(1):
            return
    selector.unregister(shell)
    shell.close()


def _started(command: Command, texts: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with tempfile.TemporaryFile() if command.stdin else Path(os.devnull).open("rb") as stdin:
        if command.stdin:
            # A file, as a pipe would have to be fed while the command runs.
            stdin.write(command.stdin)
            stdin.seek(0)
        return subprocess.Popen(  # noqa: S602 - running a shell command is the purpose
            render(command.command),
            shell=True,
            cwd=command.cwd,
            env=_environment(texts),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def _environment(texts: Mapping[str, str]) -> dict[str, str]:
    return environment() | {environment_name(name): value for name, value in texts.items()}


class _WholeOutput:
    """Keeps all output, up to the size of the largest result."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        self.data += data
        if len(self.data) > MAX_RESULT_BYTES:
            raise CommandFailed(
                f"the command printed more than {MAX_RESULT_BYTES:,} bytes, the most that a "
                "result may have: let it write to a file"
            )


class _OutputTail:
    """Keeps the last bytes of output."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        """Add the next bytes."""
        self.data += data
        del self.data[:-_TAIL_BYTES]


def _communicate(process: subprocess.Popen[bytes], *, keep: bool) -> tuple[bytes, str]:
    """Copy what a command prints until it ends; return its stdout and the end of its stderr."""
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = _WholeOutput() if keep else _OutputTail(), _OutputTail()
    # Processes that it leaves in the background may keep the pipes open after it has ended.
    pidfd = _pidfd(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, (1, out))
            selector.register(process.stderr, selectors.EVENT_READ, (2, err))
            if pidfd >= 0:
                selector.register(pidfd, selectors.EVENT_READ)
            _copy(selector, pidfd)
    finally:
        if pidfd >= 0:
            os.close(pidfd)
    process.wait()
    return bytes(out.data), err.data.decode(errors="replace")


def _pidfd(pid: int) -> int:
    """Return a descriptor that is readable once a process has ended; -1 where there is none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes forbid it
            return os.pidfd_open(pid)
    return -1


def _copy(selector: selectors.BaseSelector, pidfd: int) -> None:
    """Copy output to the job's own streams until both are closed or the process has ended."""
    streams, has_ended = 2, False
    while streams:
        ready = selector.select(0 if has_ended else None)
        if has_ended and not ready:
            return
        for key, _ in ready:
            if key.fd == pidfd:
                selector.unregister(pidfd)
                has_ended = True
                continue
            data = os.read(key.fd, _CHUNK)
            if not data:
                selector.unregister(key.fileobj)
                streams -= 1
                continue
            descriptor, output = key.data
            _write(descriptor, data)
            output.add(data)


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the job's own stream may be closed; the result is kept
        while data:
            data = data[os.write(descriptor, data) :]


def _failed(code: int, stderr: str) -> CommandFailed:
    if code == _NOT_FOUND:
        message = (
            f"command terminated with nonzero return code {code}; files do not travel, and the "
            "command ran in a directory of its slot: name a program of yours by its absolute path"
        )
    elif code > 0:
        message = f"command terminated with nonzero return code {code}"
    else:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        message = f"command was ended by signal {-code} ({name})"
    lines = stderr.rstrip().splitlines()[-_TAIL_LINES:]
    return CommandFailed(message, code, "\n".join(lines))


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
