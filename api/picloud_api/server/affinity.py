"""Account affinity: the process of this machine that serves all connections of an account.

Any process can serve any request. But processes that change the keys of one account at the same
time run into conflicts, have to publish more events, and share fewer transactions. So between two
requests a connection moves to the process that owns its account (see `handoff`), unnoticed by its
client. While that process does not live, another one owns the account.
"""

from __future__ import annotations

import mmap
import socket
import struct
import time
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

GONE_S: Final = 2.0
"""A process without a heartbeat for so long owns no account."""
MOST_MOVES: Final = 16
"""Most moves of one connection: on that of a proxy, several accounts may take turns."""
_MOMENT: Final = struct.Struct("d")


class AccountAffinity:
    """The processes of one machine, and the sockets over which connections move between them.

    The master makes it before it starts the processes, which inherit it.

    Args:
        count: How many processes.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self._clock = clock
        self._heartbeats = mmap.mmap(-1, _MOMENT.size * count)
        self._channels = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)
        ]
        for end in (end for channel in self._channels for end in channel):
            end.setblocking(False)  # noqa: FBT003 - the name it has

    def heartbeat(self, number: int) -> None:
        """Record a heartbeat of process `number`."""
        _MOMENT.pack_into(self._heartbeats, _MOMENT.size * number, self._clock())

    def leave(self, number: int) -> None:
        """Let process `number` own no account, as it ends or has ended."""
        _MOMENT.pack_into(self._heartbeats, _MOMENT.size * number, 0.0)

    def owner_of(self, account: str) -> int | None:
        """Return the process that owns an account; None while no process lives."""
        now = self._clock()
        moments = (at for (at,) in _MOMENT.iter_unpack(self._heartbeats[:]))
        living = tuple(number for number, at in enumerate(moments) if at and now - at < GONE_S)
        return _owner(account, living)

    def send(self, number: int, connection: int, moves: int) -> bool:
        """Send the descriptor of a connection to process `number`; return whether that succeeded.

        The descriptor stays open in this process, too.
        """
        try:
            socket.send_fds(self._channels[number][0], [bytes((moves,))], [connection])
        except OSError:
            return False  # the channel is full: the connection stays here until its next request
        return True

    def arrivals(self, number: int) -> socket.socket:
        """Return the socket that is readable when connections arrive at process `number`."""
        return self._channels[number][1]

    def receive(self, number: int) -> tuple[socket.socket, int] | None:
        """Return a connection that arrived at process `number`, with its moves, or None."""
        with suppress(BlockingIOError):
            while (message := socket.recv_fds(self._channels[number][1], 1, 1))[0]:
                data, descriptors = message[:2]
                # If this process may open no more files, no descriptor comes: Linux closes it.
                if descriptors:
                    return socket.socket(fileno=descriptors[0]), data[0]
        return None

    def refuse(self, number: int) -> None:
        """Close the connections on their way to an ended process: clients reconnect at once."""
        self.leave(number)
        while arrival := self.receive(number):
            arrival[0].close()

    def close(self) -> None:
        """Close the channels."""
        for end in (end for channel in self._channels for end in channel):
            end.close()


@lru_cache(maxsize=10_000)
def _owner(account: str, living: tuple[int, ...]) -> int | None:
    """Return the owner by rendezvous hashing: few accounts move when a process starts or ends."""
    return max(living, key=lambda number: _weight(account, number), default=None)


def _weight(account: str, number: int) -> bytes:
    return blake2b(f"{number}/{account}".encode(), digest_size=8).digest()
