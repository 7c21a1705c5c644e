"""Gateways: what a server and its gateway send each other, a line of JSON each.

The server writes orders to the gateway's standard input, after the secret of the tickets. The
gateway writes notices to its standard output, the first of which names the port that it listens on.
"""

from __future__ import annotations

from typing import Final

import msgspec


class StreamLimits(msgspec.Struct, frozen=True):
    """After how many seconds a gateway ends a stream: without a byte in it, and in any case."""

    idle_s: float = 4 * 3600.0
    longest_s: float = 7 * 24 * 3600.0


class ListenOrder(msgspec.Struct, frozen=True, tag="listen"):
    """Listen on a free port; each connection to it is the client's end of a new stream."""

    name: str


class WithdrawOrder(msgspec.Struct, frozen=True, tag="withdraw"):
    """Stop listening for a name; open streams go on."""

    name: str


class DropOrder(msgspec.Struct, frozen=True, tag="drop"):
    """Close the connection of a client whose stream no slot will open."""

    stream: str


class BrowseOrder(msgspec.Struct, frozen=True, tag="browse"):
    """Listen for browsers on a port; each of their requests is the client's end of a new stream."""

    port: int


class AdmitOrder(msgspec.Struct, frozen=True, tag="admit"):
    """Let a request of a browser go to the slot, with these headers in place of its own."""

    stream: str
    headers: dict[str, str]


class ReplyOrder(msgspec.Struct, frozen=True, tag="reply"):
    """Send a browser a reply, and close its connection."""

    stream: str
    reply: bytes


class ListeningNotice(msgspec.Struct, frozen=True, tag="listening"):
    """The port on which the gateway listens for a name; the empty name is that of tickets.

    The port is 0 if the system has none left.
    """

    name: str
    port: int


class ArrivalNotice(msgspec.Struct, frozen=True, tag="arrival"):
    """A client has connected to the port of a name, and waits for the slot's end of a stream."""

    name: str
    stream: str


class BrowserNotice(msgspec.Struct, frozen=True, tag="browser"):
    """A browser has sent a request, or its connection goes on: an order says whether it may.

    If the connection `is_open`, a slot has the other end already. The names of the headers are in
    lower case.
    """

    stream: str
    method: str
    target: str
    headers: dict[str, str]
    is_open: bool = False


GatewayOrder = ListenOrder | WithdrawOrder | DropOrder | BrowseOrder | AdmitOrder | ReplyOrder
GatewayNotice = ListeningNotice | ArrivalNotice | BrowserNotice
BROWSERS: Final = "/browsers"
"""The name of the port for browsers; no port of a job has it."""
read_order: Final = msgspec.json.Decoder(GatewayOrder).decode
read_notice: Final = msgspec.json.Decoder(GatewayNotice).decode


def line(message: GatewayOrder | GatewayNotice) -> bytes:
    r"""Return a message as it is sent.

    >>> line(ListenOrder("a"))
    b'{"type":"listen","name":"a"}\n'
    >>> read_order(line(ListenOrder("a")))
    ListenOrder(name='a')
    """
    return msgspec.json.encode(message) + b"\n"
