"""NATS's client, with shorter ways for many messages: it receives and publishes them in bulk.

nats-py reads the headers of each message, makes an object of it, and passes it through a queue to
another task, which takes longer than all else that is done with a message of a queue. Where a later
version of nats-py receives messages in another way, these ways are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from nats.aio.client import Client

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

Deliver = Callable[[str, str, bytes, Mapping[str, str] | None], None]
"""Gets the subject, the reply subject, the body, and the headers of a message with a status."""

_STATUS: Final = b"NATS/1.0 "
"""What the headers of a message begin with that has a status."""
_AT_ONCE: Final = 256 * 1024
"""How many bytes are written to the connection together."""


class DirectClient(Client):
    """A client whose subscriptions can have their messages handed over as they are read."""

    def __init__(self) -> None:
        super().__init__()
        self._direct: dict[int, Deliver] = {}

    def deliver_directly(self, subscription: Subscription, deliver: Deliver) -> None:
        """Hand over the messages of a subscription, in their order, before the next is read."""
        self._direct[subscription._id] = deliver  # noqa: SLF001 - nats-py has no other name for it

    def end_delivery(self, subscription: Subscription) -> None:
        """Hand over no further messages of a subscription."""
        self._direct.pop(subscription._id, None)  # noqa: SLF001 - as above

    async def publish_all(self, messages: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Publish messages, of which each has a subject, headers as they are sent, and a body.

        What they contain is not checked: it must have no line breaks of its own.
        """
        size, commands = 0, list[bytes]()
        for subject, headers, body in messages:
            line = f"HPUB {subject} {len(headers)} {len(headers) + len(body)}\r\n".encode()
            commands += (line, headers, body, b"\r\n")
            size += len(body)
            if size >= _AT_ONCE:
                await self._send(b"".join(commands))
                size, commands = 0, []
        if commands:
            await self._send(b"".join(commands))

    async def _send(self, commands: bytes) -> None:
        await self._send_command(commands)
        await self._flush_pending()

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        """Receive a message; nats-py calls this for each that it has read."""
        deliver = self._direct.get(sid)
        if deliver is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        status: Any = None
        if headers and headers.startswith(_STATUS):
            status = await self._process_headers(headers)
        deliver(subject.decode(), reply.decode(), data, status)
