"""PiCloud's server as a child process that ends with its parent.

The simulator and `picloud up` start it. No code of the server is imported here.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_START_S: Final = 30.0
_STOP_S: Final = 5.0
_NEEDS_EXTRA: Final = (
    "The server's packages are not installed; get them with: pip install 'picloud[server]'."
)


def refuse_windows() -> None:
    """Raise the error of what needs a server on this machine, if this is Windows.

    Raises:
        CloudException: On Windows.

    >>> refuse_windows()
    """
    if sys.platform == "win32":
        raise CloudException("A server cannot run on Windows; use one on another machine.")


class ServerReady(msgspec.Struct, frozen=True):
    """The message of a server that is ready for requests."""

    url: str
    key: str
    data: str = ""


class LocalServer:
    """A running server. It ends when `stop` is called or this process ends, in whatever way.

    A server that was started detached ends only when `stop` is called.
    """

    def __init__(self, process: subprocess.Popen[bytes], owner: int, ready: ServerReady) -> None:
        self.ready = ready
        self._process = process
        self._owner = owner
        self._pid = os.getpid()
        # A forked child must not keep the server alive after us.
        os.register_at_fork(after_in_child=self._disown)

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        detached: bool = False,
    ) -> LocalServer:
        """Start a server and wait until it is ready for requests.

        Args:
            arguments: For `python -m picloud_api`, such as `["--data", "/tmp/x", "--port", "0"]`.
            log: The file for the server's output.
            environment: Its environment; by default that of this process.
            detached: Whether it keeps running when this process ends.

        Raises:
            CloudException: When it does not start, with the server's own message.
        """
        refuse_windows()
        ready_read, ready_write = os.pipe()
        owner_read, owner_write = os.pipe()
        started = False
        try:
            descriptors = {"--ready-fd": ready_write}
            if not detached:
                descriptors["--owner-fd"] = owner_read
            with log.open("ab") as output:
                process = _spawn(arguments, descriptors, output, environment)
            os.close(ready_write)
            ready_write = -1
            ready = _ready(ready_read, process, log)
            started = True
            return cls(process, -1 if detached else owner_write, ready)
        finally:
            unused = -1 if started and not detached else owner_write
            for number in (ready_read, ready_write, owner_read, unused):
                if number >= 0:
                    os.close(number)

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        return self._process.pid

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until the server ends; return its exit status, or None after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Terminate the server; kill it if it has not ended after `timeout_s` seconds."""
        if self._pid != os.getpid():
            return
        if self._owner < 0:
            self._process.terminate()
        self._disown()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the server."""
        self._disown()
        self._process.kill()
        self._process.wait()

    def _disown(self) -> None:
        if self._owner >= 0:
            with contextlib.suppress(OSError):
                os.close(self._owner)
            self._owner = -1


def _spawn(
    arguments: Sequence[str],
    descriptors: Mapping[str, int],
    output: BinaryIO,
    environment: Mapping[str, str] | None,
) -> subprocess.Popen[bytes]:
    # -P: a file of the user's must not replace a module of the server that has the same name.
    command = [sys.executable, "-P", "-m", "picloud_api", *arguments]
    for option, number in descriptors.items():
        command += [option, str(number)]
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        pass_fds=tuple(descriptors.values()),
        # Ctrl-C in a terminal must reach this process only, which then stops the server.
        start_new_session=True,
    )


def _ready(pipe: int, process: subprocess.Popen[bytes], log: Path) -> ServerReady:
    message = b""
    deadline = time.monotonic() + _START_S
    while not message.endswith(b"\n"):
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0 or not select.select([pipe], [], [], remaining_s)[0]:
            process.kill()
            process.wait()
            raise CloudException(f"The server was not ready within {_START_S:g} s; see {log}.")
        chunk = os.read(pipe, 65536)
        if not chunk:
            process.wait()
            raise CloudException(_last_message(log))
        message += chunk
    return msgspec.json.decode(message.splitlines()[0], type=ServerReady)


def _last_message(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if last.startswith("ModuleNotFoundError"):
        return _NEEDS_EXTRA
    return last or f"The server ended before it was ready; see {log}."
