"""A server of one's own: PiCloud's server as a child process that ends with its parent.

The simulator and `picloud up` start it. No server code is imported here.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_START_S: Final = 30.0
_STOP_S: Final = 5.0
_NEEDS_EXTRA: Final = (
    "The server's packages are not installed; get them with: pip install 'picloud[server]'."
)


class Ready(msgspec.Struct, frozen=True):
    """What a server says when it can be used."""

    url: str
    key: str
    data: str = ""


class Server:
    """A running server. It stops when `stop` is called or this process ends, however it ends."""

    def __init__(self, process: subprocess.Popen[bytes], owner: int, ready: Ready) -> None:
        self.ready = ready
        self._process = process
        self._owner = owner
        self._pid = os.getpid()
        # A forked child must not keep the server alive after us.
        os.register_at_fork(after_in_child=self._disown)

    @classmethod
    def start(cls, arguments: Sequence[str], log: Path) -> Server:
        """Start a server and wait until it can be used.

        Args:
            arguments: Of `python -m picloud_api`, as `["--data", "/tmp/x", "--port", "0"]`.
            log: File that takes what the server prints.

        Raises:
            CloudException: When it does not start; says why in the server's own words.
        """
        if sys.platform == "win32":
            raise CloudException("A server cannot run on Windows; use one on another machine.")
        ready_read, ready_write = os.pipe()
        owner_read, owner_write = os.pipe()
        started = False
        try:
            process = _spawn(arguments, log, ready_write, owner_read)
            os.close(ready_write)
            ready_write = -1
            ready = _ready(ready_read, process, log)
            started = True
            return cls(process, owner_write, ready)
        finally:
            for number in (ready_read, ready_write, owner_read, -1 if started else owner_write):
                if number >= 0:
                    os.close(number)

    def wait(self) -> int:
        """Wait until the server ends by itself; returns its exit status."""
        return self._process.wait()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Ask the server to end, and end it where it does not within `timeout_s` seconds."""
        if self._pid != os.getpid():
            return
        self._disown()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once."""
        self._disown()
        self._process.kill()
        self._process.wait()

    def _disown(self) -> None:
        if self._owner >= 0:
            with contextlib.suppress(OSError):
                os.close(self._owner)
            self._owner = -1


def _spawn(
    arguments: Sequence[str], log: Path, ready_write: int, owner_read: int
) -> subprocess.Popen[bytes]:
    # -P: a file of the user's called like a module of the server's must not take its place.
    command = [sys.executable, "-P", "-m", "picloud_api", *arguments]
    command += ["--ready-fd", str(ready_write), "--owner-fd", str(owner_read)]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own program, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(ready_write, owner_read),
            # Ctrl-C in a terminal is for us; we end the server when the time has come.
            start_new_session=True,
        )


def _ready(pipe: int, process: subprocess.Popen[bytes], log: Path) -> Ready:
    said = b""
    deadline = time.monotonic() + _START_S
    while not said.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            process.kill()
            process.wait()
            raise CloudException(f"The server was not ready within {_START_S:g} s; see {log}.")
        chunk = os.read(pipe, 65536)
        if not chunk:
            process.wait()
            raise CloudException(_last_words(log))
        said += chunk
    return msgspec.json.decode(said, type=Ready)


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if last.startswith("ModuleNotFoundError"):
        return _NEEDS_EXTRA
    return last or f"The server ended before it was ready; see {log}."
