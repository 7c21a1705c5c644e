"""The process that serves the mount of a slot, as its supervisor sees it: through a socket."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import time
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import BucketMounted

from picloud_worker.ipc import machine_socket
from picloud_worker.mount.request import MOST_BYTES, MountRequest, answers, send
from picloud_worker.system import procfs

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from picloud_worker.system.procfs import MountId

SOCKET: Final = "mount"
"""The name of the socket in the directory through which a container asks for a mount."""
ACCEPT_S: Final = 10.0
"""How long the machine may take to accept such a request."""


class MountServer:
    """One mount, from its request to its end.

    Args:
        request: What to mount.
        copies: Where to keep copies of files that are open for writing.
        selector: Where to wait for answers; calls the `data` of what is ready.
    """

    def __init__(
        self, request: MountRequest, copies: Path, selector: selectors.BaseSelector
    ) -> None:
        self._request = request
        self._copies = copies
        self._selector = selector
        self._socket: socket.socket | None = None
        self._is_accepted = False
        self._give_up_at = time.monotonic() + ACCEPT_S
        self._process: subprocess.Popen[bytes] | None = None
        self.answer = BucketMounted(path=request.at)
        self.is_used = False
        """Whether a program may have used the mount."""
        self.mount: MountId | None = None
        """What is mounted, once it is."""
        self.is_lost = False
        """Whether the process has ended, so that files of the bucket cannot be used any longer."""
        self.on_loss: Callable[[], None] = _nothing
        """Called when the process has ended by itself, or was ended by `abort`."""

    def connect(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Send the request to a process that this one has started."""
        self._process = process
        self._use(connection)

    def listen(self, directory: int) -> None:
        """Wait until the machine connects to a socket in a directory, and send it the request.

        Raises:
            OSError: When there cannot be a socket.
        """
        self._socket = machine_socket.listen(directory, SOCKET)
        self._selector.register(self._socket, selectors.EVENT_READ, self.receive)

    def receive(self) -> None:
        """Handle what has arrived; does not wait."""
        if self._socket is None:
            return
        with contextlib.suppress(BlockingIOError):
            if not self._is_accepted:
                if (connection := machine_socket.accept(self._socket)) is not None:
                    self._forget()
                    self._use(connection)
                return
            data = b""
            with contextlib.suppress(ConnectionError):
                data = self._socket.recv(MOST_BYTES)
            for answer in _decoded(data):
                self._use_answer(answer)
            if not data:
                self._lose()

    def _use_answer(self, answer: BucketMounted) -> None:
        self.answer = answer
        self.is_used = answer.ready and not answer.idle
        if answer.ready and self.mount is None:
            self.mount = procfs.mount_at(answer.path)

    def await_answer(self) -> None:
        """Wait until the mount is ready or refused, for as long as a request may take."""
        while not (self.answer.ready or self.answer.reason) and self._wait(self._give_up_at):
            self.receive()

    def await_end(self, timeout_s: float) -> None:
        """Wait until the end of the process is noticed; it may have ended just now."""
        give_up_at = time.monotonic() + timeout_s
        while not self.is_lost and self._wait(give_up_at):
            self.receive()

    def _wait(self, until: float) -> bool:
        """Wait until something can be received; return whether it can."""
        left_s = until - time.monotonic()
        if self._socket is None or left_s <= 0:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(left_s * 1000))

    def is_ignored(self) -> bool:
        """Whether nothing on this machine has accepted the request in time."""
        return not self._is_accepted and time.monotonic() > self._give_up_at

    def abort(self) -> None:
        """End the process at once, which ends all that programs wait for from it."""
        if self._process is not None:
            self._process.kill()
        self._lose()

    def close(self, timeout_s: float) -> None:
        """End the process, which unmounts; kill it if that takes longer than `timeout_s`."""
        import subprocess  # noqa: PLC0415 - few slots mount the bucket

        process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._forget()

    def _use(self, connection: socket.socket) -> None:
        self._is_accepted = True
        self._socket = connection
        directory = os.open(self._copies, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # The process may have ended already: that is received like its later end.
            with contextlib.suppress(ConnectionError):
                send(connection, self._request, directory)
        finally:
            os.close(directory)
        connection.settimeout(0)
        self._selector.register(connection, selectors.EVENT_READ, self.receive)

    def _lose(self) -> None:
        self._forget()
        if not self.is_lost:
            self.is_lost = True
            self.on_loss()

    def _forget(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def _nothing() -> None:
    """Do nothing."""


def _decoded(data: bytes) -> list[BucketMounted]:
    with contextlib.suppress(msgspec.MsgspecError):
        return list(answers(data))
    return []
