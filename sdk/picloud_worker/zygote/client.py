"""The supervisor's side of the zygote: asks for children and hears of their ends."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Self

from picloud_worker.ipc.scoreboard import MOST_CHILDREN, Scoreboard
from picloud_worker.zygote import process

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from picloud_worker.system.user import User


class ZygoteLostError(Exception):
    """The zygote is gone: this slot cannot run anything any more."""


class ZygoteClient:
    """Holds the zygote; leaving it ends the zygote and all its children."""

    def __init__(self, line: socket.socket, scoreboard: Scoreboard, lines: str, uid: int) -> None:
        self.scoreboard = scoreboard
        self.uid = uid
        self._lines = lines
        self._forked = 0
        self._preloaded = False
        self._line = line
        self._news = bytearray()
        self._taken: set[int] = set()

    @classmethod
    def start(cls, home: Path, user: User | None = None) -> Self:
        """Fork the zygote: to be called before there are threads or secrets in this process.

        Args:
            home: Directory that children run in.
            user: As whom; None for this process's own user.
        """
        scoreboard = Scoreboard()
        ours, theirs = socket.socketpair()
        lines = secrets.token_hex(8)
        parent = os.getpid()
        if os.fork() == 0:
            ours.close()
            setup = process.ChildSetup(str(home), user, lines)
            process.become_zygote(theirs, parent, scoreboard, setup)
        theirs.close()
        return cls(ours, scoreboard, lines, user.uid if user else _own_uid())

    def fileno(self) -> int:
        """Readable when a child has ended."""
        return self._line.fileno()

    def fork(self, descriptors: Sequence[int]) -> int:
        """Ask for a child that gets these descriptors; returns its index on the scoreboard.

        Raises:
            ZygoteLostError: When there is no zygote.
        """
        child_index = next(
            child_index for child_index in range(MOST_CHILDREN) if child_index not in self._taken
        )
        self.scoreboard.clear(child_index)
        self._send(process.REQUEST.pack(process.FORK, child_index, self._forked), descriptors)
        self._taken.add(child_index)
        return child_index

    def preload(self) -> None:
        """Let children forked from now on begin with `cloud` imported; once is enough."""
        if not self._preloaded:
            self._preloaded = True
            self._send(process.REQUEST.pack(process.PRELOAD, 0, 0), ())

    def next_line(self) -> str:
        """The name of the line that the next child to be forked asks on; each has its own."""
        self._forked += 1
        return process.line_name(self._lines, self._forked)

    def signal(self, child_index: int, number: signal.Signals) -> None:
        """Send a signal to a child and its process group; to one that ended it does nothing."""
        self._send(process.REQUEST.pack(process.SIGNAL, child_index, number), ())

    def ended(self) -> Iterator[tuple[int, int]]:
        """Cell and wait status of each child that ended since the last time; does not wait.

        Raises:
            ZygoteLostError: When there is no zygote.
        """
        try:
            data = self._line.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise ZygoteLostError
        self._news += data
        while len(self._news) >= process.NEWS.size:
            child_index, status = process.NEWS.unpack_from(self._news)
            del self._news[: process.NEWS.size]
            self._taken.discard(child_index)
            yield child_index, status

    def close(self) -> None:
        """End the zygote and every child, and wait until they are gone."""
        self._line.close()
        try:
            os.wait()
        except ChildProcessError:
            return

    def _send(self, request: bytes, descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._line, [request], descriptors)
        except OSError as error:
            raise ZygoteLostError from error


def _own_uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
