"""Gateways: what a server and its gateway send each other, a line of JSON each.

The server writes orders to the gateway's standard input, after the secret of the tickets. The
gateway writes notices to its standard output, the first of which names the port that it listens on.
"""

from __future__ import annotations

from typing import Final

import msgspec


class ListenOrder(msgspec.Struct, frozen=True, tag="listen"):
    """Listen on a free port; each connection to it is the client's end of a new stream."""

    name: str


class WithdrawOrder(msgspec.Struct, frozen=True, tag="withdraw"):
    """Stop listening for a name; open streams go on."""

    name: str


class DropOrder(msgspec.Struct, frozen=True, tag="drop"):
    """Close the connection of a client whose stream no slot will open."""

    stream: str


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


GatewayOrder = ListenOrder | WithdrawOrder | DropOrder
GatewayNotice = ListeningNotice | ArrivalNotice
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
