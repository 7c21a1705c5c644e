"""Queues as streams of NATS JetStream, one each.

Any process pushes. All else about a queue is done by the one process that owns its consumer: a
stream of this kind has one consumer at most, so the server decides which process that is. Other
processes send their requests to it, through NATS. Its consumer is replaced when it does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import structlog
from picloud_model.errors import (
    PiCloudError,
    QueueNotFound,
    ServerFault,
    Unavailable,
    every_error,
)

from picloud_driver.nats import api_refusal
from picloud_driver.nats.api_refusal import ApiRefusal
from picloud_driver.nats.consumer_watch import is_alive
from picloud_driver.queue import nats_push
from picloud_driver.queue.nats_consumer import ConsumerLost, QueueConsumer
from picloud_driver.queue.nats_operation import (
    OPERATION_DECODER,
    CountOperation,
    Operation,
    PostponeOperation,
    PurgeOperation,
    RemoveOperation,
    TakeOperation,
)
from picloud_driver.queue.nats_stream import QueueStreams, consumer_config, stream_config
from picloud_driver.queue.nats_subject import delayed_of, subject_of
from picloud_driver.queue.port import (
    NO_LIMITS,
    Delivery,
    DeliveryId,
    Exchanged,
    QueueCounts,
    QueuePort,
    QueuePush,
    TakeLimits,
    expired_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from nats.aio.msg import Msg

    from picloud_driver.nats.access import NatsAccess
    from picloud_driver.nats.gateway import NatsGateway

_ATTEMPTS: Final = 20
"""How often the owner of a queue is looked for."""
_FORWARD_S: Final = 15.0
_NOT_OWNER: Final = b"?"
_RESULT: Final = b"+"
_ERROR: Final = b"-"
_CLOSE_S: Final = 1.0
"""How long the answers to other processes may take when this one closes."""

_log = structlog.get_logger()


class NatsQueues(QueuePort):
    """Queues on a NATS server with JetStream; it connects with its first call."""

    adapter: ClassVar[str] = "nats"

    def __init__(self, access: NatsAccess) -> None:
        self._access = access
        self._owned: dict[str, QueueConsumer] = {}
        self._listening: dict[str, Callable[[], Awaitable[None]]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._serving: set[asyncio.Task[None]] = set()

    @cached_property
    def _gateway(self) -> NatsGateway:
        # The client takes megabytes, which a server without queues does not spend.
        from picloud_driver.nats.gateway import NatsGateway  # noqa: PLC0415

        gateway = NatsGateway(self._access)
        gateway.on_reconnect = self._reconnected
        return gateway

    @cached_property
    def _streams(self) -> QueueStreams:
        return QueueStreams(self._gateway)

    async def create(self, queue: str) -> None:
        """See `QueuePort.create`."""
        config = stream_config(queue, self._access.replicas)
        try:
            await self._gateway.api(f"STREAM.CREATE.{queue}", config)
        except ApiRefusal as refusal:
            if refusal.code != api_refusal.EXISTS:
                raise self._streams.error(refusal) from refusal
            # An earlier version of this made it.
            await self._streams.api(f"STREAM.UPDATE.{queue}", config)

    async def delete(self, queue: str) -> None:
        """See `QueuePort.delete`."""
        with contextlib.suppress(QueueNotFound):
            await self._streams.api(f"STREAM.DELETE.{queue}")
        await self._disown(queue)

    async def push(
        self,
        queue: str,
        push_id: str,
        bodies: Sequence[bytes],
        delay_s: float = 0.0,
        *,
        ids: Sequence[str] = (),
    ) -> set[int]:
        """See `QueuePort.push`."""
        messages = nats_push.outgoing(queue, bodies, delay_s)
        if not messages:
            await self._streams.info(queue)
            return set()
        send = partial(nats_push.push, self._gateway, queue, push_id, messages, ids)
        return await self._gateway.outlast(partial(self._push, queue, send))

    async def _push(self, queue: str, send: Callable[[], Awaitable[set[int] | None]]) -> set[int]:
        try:
            try:
                repeated = await send()
            except ApiRefusal as refusal:
                if refusal.code != api_refusal.NO_TTL:
                    raise
                await self.create(queue)
                repeated = await send()
        except ApiRefusal as refusal:
            raise self._gateway.refusal(refusal, refusal.code) from refusal
        if repeated is None:
            await self._streams.info(queue)
            raise Unavailable(f"{self._gateway.where} did not take the messages; push them again.")
        return repeated

    async def take(
        self,
        queue: str,
        most: int,
        *,
        deadline_s: float,
        timeout_s: float,
        limits: TakeLimits = NO_LIMITS,
    ) -> list[Delivery]:
        """See `QueuePort.take`."""
        operation = TakeOperation(min(most, self.max_messages), deadline_s, timeout_s, limits)
        reply = await self._at_owner(queue, operation, timeout_s)
        return msgspec.msgpack.decode(reply, type=list[Delivery])

    async def remove(self, queue: str, deliveries: Sequence[DeliveryId]) -> list[bool]:
        """See `QueuePort.remove`."""
        reply = await self._at_owner(queue, RemoveOperation(list(deliveries)))
        return msgspec.msgpack.decode(reply, type=list[bool])

    async def exchange(
        self,
        queue: str,
        deliveries: Sequence[DeliveryId],
        pushes: Sequence[QueuePush],
        *,
        hold_s: float,
    ) -> Exchanged:
        """See `QueuePort.exchange`; one atomic batch for each push, all at the same time."""
        hold = PostponeOperation(list(deliveries), hold_s, looks=False)
        held = msgspec.msgpack.decode(await self._at_owner(queue, hold), type=list[bool])
        if not all(held):
            return Exchanged(expired_of(held))
        done = await asyncio.gather(
            *(
                self.push(each.queue, each.push_id, each.bodies, each.delay_s, ids=each.ids)
                for each in pushes
            ),
            return_exceptions=True,
        )
        repeated = []
        for each in done:
            if isinstance(each, BaseException):
                raise each
            repeated.append(each)
        return Exchanged(expired_of(await self.remove(queue, deliveries)), repeated)

    async def postpone(
        self, queue: str, deliveries: Sequence[DeliveryId], deadline_s: float
    ) -> list[bool]:
        """See `QueuePort.postpone`."""
        reply = await self._at_owner(queue, PostponeOperation(list(deliveries), deadline_s))
        return msgspec.msgpack.decode(reply, type=list[bool])

    async def counts(self, queue: str) -> QueueCounts:
        """See `QueuePort.counts`."""
        reply = await self._at_owner(queue, CountOperation())
        return msgspec.msgpack.decode(reply, type=QueueCounts)

    async def bodies(self, queue: str) -> AsyncIterator[bytes]:
        """See `QueuePort.bodies`."""
        await self._streams.info(queue)
        async for body in self._streams.bodies(queue):
            yield body

    async def purge(self, queue: str) -> None:
        """See `QueuePort.purge`."""
        await self._at_owner(queue, PurgeOperation())

    async def ping(self) -> None:
        """See `QueuePort.ping`."""
        await self._streams.api("INFO")

    async def close(self) -> None:
        """See `QueuePort.close`; other processes can own the queues at once."""
        for queue in [*self._owned]:
            await self._disown(queue)
        if self._serving:
            # They say that this process owns the queue no more: the others need not wait to know.
            await asyncio.wait(self._serving, timeout=_CLOSE_S)
        for task in self._serving:
            task.cancel()
        if "_gateway" in vars(self):
            await self._gateway.close()

    # --- owning ---

    async def _at_owner(self, queue: str, operation: Operation, timeout_s: float = 0.0) -> bytes:
        """Let the owner of a queue do something, once or again; own it if no other process does."""
        attempt = partial(self._try_at_owner, queue, operation, timeout_s)
        return await self._gateway.outlast(attempt)

    async def _try_at_owner(self, queue: str, operation: Operation, timeout_s: float) -> bytes:
        for _ in range(_ATTEMPTS):
            result = await self._as_owner(queue, operation)
            if result is None:
                result = await self._forward(queue, operation, timeout_s)
            if result is not None:
                return result
            await self._own(queue)
        raise Unavailable(f"{self._gateway.where}: no process could own the queue; try again.")

    async def _as_owner(self, queue: str, operation: Operation) -> bytes | None:
        """Do something if this process owns the queue, else return None."""
        consumer = self._owned.get(queue)
        if consumer is None:
            return None
        try:
            consumer.require()
            result = await self._do(queue, consumer, operation)
        except ConsumerLost:
            await self._disown(queue, consumer)
            return None
        return msgspec.msgpack.encode(result)

    async def _do(self, queue: str, consumer: QueueConsumer, operation: Operation) -> Any:
        if isinstance(operation, TakeOperation):
            return await consumer.take(
                operation.most,
                most_bytes=self.max_taken_bytes,
                deadline_s=operation.deadline_s,
                timeout_s=operation.timeout_s,
                limits=operation.limits,
            )
        if isinstance(operation, RemoveOperation):
            return await self._remove(queue, consumer, operation.deliveries)
        if isinstance(operation, PostponeOperation):
            if operation.looks:
                # A consumer of a queue that was deleted would not know.
                await self._streams.info(queue)
            return consumer.postpone(operation.deliveries, operation.deadline_s)
        if isinstance(operation, PurgeOperation):
            for subject in (subject_of(queue), f"{delayed_of(queue)}>"):
                await self._streams.api(f"STREAM.PURGE.{queue}", {"filter": subject})
            consumer.forget()
            return None
        return await self._streams.counts(queue, consumer)

    async def _remove(
        self, queue: str, consumer: QueueConsumer, deliveries: Sequence[DeliveryId]
    ) -> list[bool]:
        """Remove messages, of which an earlier owner may have given out some."""
        gone = await consumer.remove(deliveries)
        for index, each in enumerate(deliveries):
            if each.owner != consumer.name:
                gone[index] = await self._streams.message(queue, {"seq": each.number}) is None
        return gone

    async def _own(self, queue: str) -> None:
        """Replace the consumer of a process that is gone, unless another one is faster."""
        async with self._locks.setdefault(queue, asyncio.Lock()):
            if queue in self._owned:
                return
            before = await self._streams.api(f"CONSUMER.NAMES.{queue}")
            if queue not in self._listening:
                # First, so that no process finds a consumer whose owner does not answer.
                self._listening[queue] = await self._gateway.subscribe(
                    f"picloud.owner.{queue}", partial(self._serve, queue), group="owner"
                )
            for name in before.get("consumers") or ():
                if await is_alive(self._gateway, name):
                    # It was about to own the queue when this process looked for the owner.
                    await self._stop_listening(queue)
                    return
                await self._delete_consumer(queue, name)
            consumer = QueueConsumer(self._gateway, queue, f"c{uuid.uuid4().hex}")
            await consumer.open()
            await consumer.watch.open()
            try:
                created = await self._streams.api(
                    f"CONSUMER.CREATE.{queue}.{consumer.name}",
                    consumer_config(queue, consumer.name, self._access.replicas),
                )
                await consumer.watch.follow(created)
            except BaseException as error:
                await consumer.close()
                await self._stop_listening(queue)
                if not isinstance(error, ApiRefusal):
                    raise
                if error.code == api_refusal.IN_USE:
                    return
                raise self._streams.error(error) from error
            self._owned[queue] = consumer

    async def _delete_consumer(self, queue: str, name: str) -> None:
        try:
            await self._gateway.api(f"CONSUMER.DELETE.{queue}.{name}")
        except ApiRefusal as refusal:
            if refusal.code != api_refusal.NO_CONSUMER:
                raise self._streams.error(refusal) from refusal

    async def _disown(self, queue: str, consumer: QueueConsumer | None = None) -> None:
        owned = self._owned.get(queue)
        if owned is None or consumer not in (None, owned):
            return
        del self._owned[queue]
        await self._stop_listening(queue)
        await owned.close()

    async def _stop_listening(self, queue: str) -> None:
        end = self._listening.pop(queue, None)
        if end is not None:
            await end()

    def _reconnected(self) -> None:
        for consumer in self._owned.values():
            consumer.reconnected()

    # --- requests of other processes ---

    async def _forward(self, queue: str, operation: Operation, timeout_s: float) -> bytes | None:
        """Send something to the owner of a queue; None if no process owns it."""
        if queue in self._listening:
            return None
        payload = msgspec.msgpack.encode(operation)
        wait_s = timeout_s + _FORWARD_S
        # One process gets it: if two did, the reply of one would be lost with what it has taken.
        # One that does not own the queue has stopped to listen when it says so.
        for _ in range(_ATTEMPTS):
            reply = await self._gateway.forward(f"picloud.owner.{queue}", payload, wait_s)
            if reply != _NOT_OWNER:
                break
        if reply is None or reply == _NOT_OWNER:
            return None
        if reply[:1] == _RESULT:
            return reply[1:]
        code, message = msgspec.msgpack.decode(reply[1:], type=tuple[str, str])
        raise every_error().get(code, PiCloudError)(message)

    async def _serve(self, queue: str, message: Msg) -> None:
        # A take may wait: the next request is not to wait for it.
        task = asyncio.create_task(self._reply(queue, message))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _reply(self, queue: str, message: Msg) -> None:
        try:
            async with self._locks.setdefault(queue, asyncio.Lock()):
                pass  # This process may be about to own it.
            result = await self._as_owner(queue, OPERATION_DECODER.decode(message.data))
            reply = _NOT_OWNER if result is None else _RESULT + result
        except PiCloudError as error:
            reply = _ERROR + msgspec.msgpack.encode((error.code, error.message))
        except Exception:  # noqa: BLE001 - the other process waits for an answer
            _log.exception("queue.forwarded_request_failed", queue=queue)
            fault = "The process that owns the queue met a fault; its log says more."
            reply = _ERROR + msgspec.msgpack.encode((ServerFault.code, fault))
        await self._gateway.outlast(partial(self._gateway.publish, message.reply, reply))
