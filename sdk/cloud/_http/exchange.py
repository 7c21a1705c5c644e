"""The seam under the transport: one request out, one reply in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Sent(msgspec.Struct, frozen=True):
    """One request. `url` is a path below the server's URL, or absolute for another host."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout_s: float


class Reply(msgspec.Struct, frozen=True):
    """One answer; names of headers are found in whatever case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """No answer came; whether the request arrived is not known.

    `lasting` says that trying again cannot help, as with a certificate that is not trusted.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Exchange(Protocol):
    """Whatever can carry requests: the network, or a test's stand-in."""

    def exchange(self, sent: Sent) -> Reply:
        """Send a request and wait for the whole answer.

        Raises:
            NoAnswer: When none came.
        """

    def close(self) -> None:
        """Give back connections; the next exchange opens new ones."""
