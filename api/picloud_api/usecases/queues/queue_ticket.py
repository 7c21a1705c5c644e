"""Tickets: signed names of deliveries, which only the queue they are of accepts."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import Final

import msgspec
from picloud_driver.queue import DeliveryId
from picloud_model.errors import RequestRefused

_MAC_BYTES: Final = 16


class TicketContent(msgspec.Struct, frozen=True, array_like=True):
    """One delivery, and the digest of the blob that holds its message, if one does."""

    delivery: DeliveryId
    blob: str = ""


_DECODER: Final = msgspec.msgpack.Decoder(TicketContent)


class TicketSigner:
    """Makes and reads tickets.

    >>> signer = TicketSigner(b"key")
    >>> ticket = signer.sign("a0000001-1", TicketContent(DeliveryId(7, 1)))
    >>> signer.read("a0000001-1", ticket, 0).delivery.number
    7
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, queue: str, content: TicketContent) -> str:
        """Return the ticket of a delivery."""
        body = msgspec.msgpack.encode(content)
        return base64.urlsafe_b64encode(self._mac(queue, body) + body).rstrip(b"=").decode()

    def read(self, queue: str, ticket: str, position: int) -> TicketContent:
        """Return what a ticket is for.

        Args:
            queue: The queue that it should be of.
            ticket: The ticket.
            position: Where it is in the request, for the message.

        Raises:
            RequestRefused: When the server did not give it out for this queue.
        """
        try:
            data = base64.urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
        except ValueError:
            data = b""
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(queue, body)):
            raise RequestRefused(
                f"Ticket {position} was not given out for this queue; acknowledge a message at "
                "the queue that it was taken from.",
                field="tickets",
            )
        return _DECODER.decode(body)

    def _mac(self, queue: str, body: bytes) -> bytes:
        return hmac.digest(self._key, f"{queue}\0".encode() + body, sha256)[:_MAC_BYTES]
