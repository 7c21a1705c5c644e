"""What the process that made a consumer tells others about it, and what the servers tell it.

Several servers may store a consumer, of which one delivers: its leader.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import Unavailable

from picloud_driver.nats.api_refusal import ApiRefusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from nats.aio.msg import Msg

    from picloud_driver.nats.gateway import NatsGateway

_ALIVE_S: Final = 3.0
_ELECTED_S: Final = 5.0
_ALIVE: Final = b"+"


class ConsumerWatch:
    """Watches one consumer.

    Args:
        gateway: The connection.
        stream: Where the consumer is.
        name: Its name.
        lose: Called when another server delivers its messages. What the former leader has delivered
            last may be lost, and the new one does not deliver it as long as the consumer exists.
    """

    def __init__(
        self, gateway: NatsGateway, stream: str, name: str, lose: Callable[[], None]
    ) -> None:
        self._gateway = gateway
        self._stream = stream
        self._name = name
        self._lose = lose
        self._leader = ""
        self._leads = asyncio.Event()
        self._ends: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_replicated(self) -> bool:
        """Whether several servers store the consumer."""
        return bool(self._leader)

    async def open(self) -> None:
        """Tell every process that asks that this one is alive."""
        self._ends.append(await self._gateway.subscribe(_alive(self._name), self._reply))

    async def follow(self, created: Mapping[str, Any]) -> None:
        """Make the leader of the stream that of the consumer, too, and watch that it stays so.

        A server that was just started may be the leader of a new consumer before it has learned
        which messages were removed meanwhile: it would deliver these again.

        Args:
            created: JetStream's answer to the request that made the consumer.

        Raises:
            ApiRefusal: When JetStream refuses it.
            Unavailable: When it does not answer.
        """
        cluster = created.get("cluster", {})
        if not cluster.get("replicas"):
            return
        info = await self._gateway.api(f"STREAM.INFO.{self._stream}")
        self._leader = info["cluster"].get("leader", "")
        subject = f"$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.{self._stream}.{self._name}"
        self._ends.append(await self._gateway.subscribe(subject, self._elected))
        if self._leader != cluster.get("leader"):
            await self._move()

    async def _move(self) -> None:
        preferred = {"placement": {"preferred": self._leader}}
        try:
            await self._gateway.api(
                f"CONSUMER.LEADER.STEPDOWN.{self._stream}.{self._name}", preferred
            )
            await asyncio.wait_for(self._leads.wait(), _ELECTED_S)
        except (ApiRefusal, TimeoutError):
            # Another one was elected since, or that server is lost: a new consumer is made.
            self._lose()

    async def close(self) -> None:
        """Stop."""
        for end in self._ends:
            await end()

    async def _reply(self, message: Msg) -> None:
        await self._gateway.publish(message.reply, _ALIVE)

    async def _elected(self, message: Msg) -> None:
        if msgspec.json.decode(message.data).get("leader") == self._leader:
            self._leads.set()
        else:
            self._lose()


async def is_alive(gateway: NatsGateway, name: str) -> bool:
    """Return whether the process that made a consumer runs and still uses it."""
    try:
        return await gateway.forward(_alive(name), b"", _ALIVE_S) is not None
    except Unavailable:
        return False  # It is connected, but stopped.


def _alive(name: str) -> str:
    return f"picloud.consumer.{name}"
