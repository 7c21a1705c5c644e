"""Home: the process of this machine in which the connections of an account come together.

Any process serves any request. But those that change an account's keys at the same time get into
each other's way, have to tell each other what they did, and share fewer transactions. So between
two requests a connection moves to the process that is its account's home, unseen by its client.
Where that process is gone, another is home until it is back.
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
"""A process that did not say for so long that it lives is nobody's home."""
MOST_MOVES: Final = 16
"""Moves of one connection, as several accounts may take turns on that of a proxy."""
_MOMENT: Final = struct.Struct("d")


class AccountAffinity:
    """The processes of one machine, and the ways connections take between them.

    Made by their master before it starts them: they inherit it.

    Args:
        count: How many processes.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self._clock = clock
        self._lived = mmap.mmap(-1, _MOMENT.size * count)
        self._ways = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)
        ]
        for end in (end for way in self._ways for end in way):
            end.setblocking(False)  # noqa: FBT003 - the name it has

    def heartbeat(self, number: int) -> None:
        """Process `number` lives."""
        _MOMENT.pack_into(self._lived, _MOMENT.size * number, self._clock())

    def leave(self, number: int) -> None:
        """Process `number` ends, or has ended: it is nobody's home."""
        _MOMENT.pack_into(self._lived, _MOMENT.size * number, 0.0)

    def owner_of(self, account: str) -> int | None:
        """The process that is an account's home; None while none lives."""
        now = self._clock()
        moments = (at for (at,) in _MOMENT.iter_unpack(self._lived[:]))
        living = tuple(number for number, at in enumerate(moments) if at and now - at < GONE_S)
        return _home(account, living)

    def send(self, number: int, connection: int, moves: int) -> bool:
        """Give a connection to process `number`, by its descriptor; whether it went.

        The descriptor stays open here, too.
        """
        try:
            socket.send_fds(self._ways[number][0], [bytes((moves,))], [connection])
        except OSError:
            return False  # so many are on their way that this one stays until its next request
        return True

    def arrivals(self, number: int) -> socket.socket:
        """What becomes readable when connections arrive at process `number`."""
        return self._ways[number][1]

    def receive(self, number: int) -> tuple[socket.socket, int] | None:
        """A connection that arrived at process `number`, and its moves; None if there is none."""
        with suppress(BlockingIOError):
            while (found := socket.recv_fds(self._ways[number][1], 1, 1))[0]:
                # No descriptor where this process may open no more: the connection is closed.
                if found[1]:
                    return socket.socket(fileno=found[1][0]), found[0][0]
        return None

    def refuse(self, number: int) -> None:
        """Close what was on its way to a process that has ended: clients connect again at once."""
        self.leave(number)
        while found := self.receive(number):
            found[0].close()

    def close(self) -> None:
        """Give the ways up."""
        for end in (end for way in self._ways for end in way):
            end.close()


@lru_cache(maxsize=10_000)
def _home(account: str, living: tuple[int, ...]) -> int | None:
    """The same for an account as long as it lives, and for another only when one comes or goes."""
    return max(living, key=lambda number: _weight(account, number), default=None)


def _weight(account: str, number: int) -> bytes:
    return blake2b(f"{number}/{account}".encode(), digest_size=8).digest()
