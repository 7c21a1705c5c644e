"""The interface below the transport: one request, one reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from picloud_model.pack import Pieces

FIRST_ERROR: Final = 300
"""The first status of a reply whose body is not what was requested."""


class Readable(Protocol):
    """Bytes that are read piece by piece."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


class LongBody(Protocol):
    """A body that is never whole in memory; each attempt to send it reads it from its beginning."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def open(self) -> Readable:
        """Return its bytes, from the first one."""


class Writable(Protocol):
    """Takes bytes piece by piece."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Add bytes."""


class LongReply(Protocol):
    """Where a reply goes that is never whole in memory; each attempt writes it from its start."""

    def open(self) -> Writable:
        """Return where to write the body, from its first byte on."""


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `url` is a path below the server's URL, or an absolute URL for another host.

    With `target` the body of a successful reply is written there, and is empty in the reply.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | Pieces | LongBody | None = None
    target: LongReply | None = None
    timeout_s: float


class HttpReply(msgspec.Struct, frozen=True):
    """One reply; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """No reply arrived; it is not known whether the request did.

    With `lasting` another attempt cannot succeed, as with a certificate that is not trusted.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Exchange(Protocol):
    """Carries requests: over the network, or to a fake server in tests."""

    def exchange(self, request: HttpRequest) -> HttpReply:
        """Send a request and wait for the whole reply.

        Raises:
            NoAnswer: When no reply arrives.
        """

    def close(self) -> None:
        """Close connections; the next exchange opens new ones."""
