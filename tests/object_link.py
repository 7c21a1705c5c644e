"""A link that carries the bytes of objects, and that a test can cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud._http.connections import Connections
from cloud._http.exchange import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._http.exchange import HttpReply, HttpRequest


class ObjectLink:
    """Carries requests, and calls a function before each that has bytes of an object."""

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)
        self.before: Callable[[HttpRequest], object] = lambda _: None
        self.transfers = 0
        self.answered = 0

    def exchange(self, request: HttpRequest) -> HttpReply:
        if request.method not in {"GET", "PUT"}:
            return self._connections.exchange(request)
        self.transfers += 1
        self.before(request)
        reply = self._connections.exchange(request)
        self.answered += 1
        return reply

    def close(self) -> None:
        self._connections.close()

    def cut_after(self, transfers: int) -> None:
        """Carry some more transfers, and then none."""
        left = [None] * transfers

        def before(_: HttpRequest) -> None:
            try:
                left.pop()
            except IndexError:
                raise NoAnswer("it was cut", lasting=True) from None

        self.before = before
