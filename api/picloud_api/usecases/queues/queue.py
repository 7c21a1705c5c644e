"""Queues: messages that an account pushes and takes."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from picloud_driver.queue import TakeLimits
from picloud_model.errors import HandlerReplaced, QueueNotFound, RequestConflict, missing_name
from picloud_model.wire.queue import (
    MAX_QUEUES,
    MessagesTaken,
    PushRequest,
    QueueInfo,
    QueuesListed,
    TakenMessage,
    TicketsChecked,
)

from picloud_api.store.queue_record import QueueRecord, queue_key
from picloud_api.usecases.queues.message_blobs import MESSAGE_DECODER, MessageBlobs
from picloud_api.usecases.queues.pushed_queues import PushedQueues
from picloud_api.usecases.queues.queue_message import blobs_of
from picloud_api.usecases.queues.queue_rates import QueueRateCounter
from picloud_api.usecases.queues.queue_ticket import TicketContent, TicketSigner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_driver.blob import BlobPort
    from picloud_driver.queue import Delivery, QueueCounts, QueuePort
    from picloud_model.wire.queue import (
        AcknowledgeRequest,
        ExtendRequest,
        TakeRequest,
    )

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.view import View

Result = TypeVar("Result")

_LOOK_S: Final = 1.0
"""How long a take waits in the queue port before it looks whether the server stops."""

_RECENT_S: Final = 0.1
"""For how long a handler may be given messages that another process has replaced or paused."""


class Queues:
    """Creates the queues of accounts; pushes, takes and removes their messages."""

    def __init__(
        self, context: Context, port: QueuePort, blobs: BlobPort, ticket_key: bytes
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._ready_queue = context.ready_queue
        self._port = port
        self.blobs = MessageBlobs(context, port, blobs)
        self.tickets = TicketSigner(ticket_key)
        self._stopping = False
        self.pushed = PushedQueues()
        self.rates = QueueRateCounter(context.clock)
        self._read_at: dict[str, float] = {}
        """When the records of queues with handlers were last read, by key."""

    async def create(self, account: str, name: str) -> QueueInfo:
        """Make a queue, unless there is one; return it.

        Raises:
            RequestConflict: When the account has as many queues as it may have.
        """
        key = queue_key(account, name)
        if await self._commits.view.fresh(key) is None:
            present = await self._commits.view.scan(queue_key(account, ""))
            if len(present) >= MAX_QUEUES:
                raise RequestConflict(
                    f"Your account has {MAX_QUEUES} queues, as many as it may have; delete one."
                )

        async def plan(draft: Draft) -> QueueRecord:
            found: QueueRecord | None = await draft.fresh(key)
            if found is not None:
                return found
            record = QueueRecord(f"{account}-{secrets.token_hex(8)}", self._clock())
            draft.put(key, record)
            return record

        record = await self._commits.run(plan)
        await self._port.create(record.id)
        return await self.info(account, name)

    async def list(self, account: str) -> QueuesListed:
        """Return the names of an account's queues."""
        prefix = queue_key(account, "")
        keys = await self._commits.view.scan(prefix)
        return QueuesListed(names=sorted(key.removeprefix(prefix) for key in keys))

    async def info(self, account: str, name: str) -> QueueInfo:
        """Return how many messages a queue has.

        Raises:
            QueueNotFound: When the account has no such queue; all methods below raise it, too.
        """
        record, counts = await self.counts(account, name)
        return QueueInfo(
            name=name,
            created_at=record.created_at,
            ready=counts.ready,
            delayed=counts.delayed,
            in_flight=counts.in_flight,
            oldest_at=counts.oldest_at,
        )

    async def counts(self, account: str, name: str) -> tuple[QueueRecord, QueueCounts]:
        """Return the record of a queue, and how many messages the queue has."""
        return await self._at(
            account, name, lambda record: _with(record, self._port.counts(record.id))
        )

    async def delete(self, account: str, name: str) -> None:
        """Remove a queue with its messages; a missing one is not an error.

        Raises:
            RequestConflict: When a handler is attached to it.
        """
        key = queue_key(account, name)
        record: QueueRecord | None = await self._commits.view.fresh(key)
        if record is None:
            return
        if record.attachment:
            message = f"A handler is attached to the queue {name!r}; detach it first."
            raise RequestConflict(message, field="name")
        await self.blobs.sweep(account, record)
        # First the messages: if this is interrupted, the name is still there to be deleted.
        await self._port.delete(record.id)

        async def plan(draft: Draft) -> None:
            if await draft.fresh(key) is not None:
                draft.delete(key)

        await self._commits.run(plan)
        self.rates.forget(account, name)
        self._read_at.pop(key, None)

    async def purge(self, account: str, name: str) -> None:
        """Remove all messages of a queue."""

        async def purge(record: QueueRecord) -> None:
            await self.blobs.sweep(account, record)
            await self._port.purge(record.id)

        await self._at(account, name, purge)

    async def push(self, account: str, request: PushRequest) -> None:
        """Add messages to a queue, all or none; once this returns, they are durable.

        Raises:
            RequestRefused: When a message has not exactly one content.
            BlobMissing: When the blob of a message was not stored.
        """
        digests = blobs_of(request.messages)
        await self.blobs.require(account, digests)
        bodies = [msgspec.msgpack.encode(message) for message in request.messages]

        async def push(record: QueueRecord) -> None:
            if digests and not record.spills:
                await self.blobs.note_spill(account, request.name)
            await self._port.push(record.id, request.push_id, bodies, request.delay_s)
            self.rates.pushed(account, request.name, len(bodies))
            if record.attachment:
                self.pushed.add(account, request.name)

        await self._at(account, request.name, push)

    async def take(self, account: str, request: TakeRequest) -> MessagesTaken:
        """Take messages; wait for the first if there is none.

        Raises:
            HandlerReplaced: When the request is of a job of a handler that is to end.
        """
        end = time.monotonic() + request.timeout_s
        while True:
            remaining_s = max(0.0, end - time.monotonic())
            wait_s = 0.0 if self._stopping else min(_LOOK_S, remaining_s)

            def take(
                record: QueueRecord, wait_s: float = wait_s
            ) -> Awaitable[tuple[QueueRecord, Sequence[Delivery]]]:
                limits = TakeLimits()
                if request.attachment:
                    limits = TakeLimits(record.per_second, record.in_flight)
                    if record.paused:
                        return _with(record, _nothing_after(wait_s))
                taken = self._port.take(
                    record.id,
                    request.max_count,
                    deadline_s=request.deadline_s,
                    timeout_s=wait_s,
                    limits=limits,
                )
                return _with(record, taken)

            record, taken = await self._at(account, request.name, take)
            if request.attachment:
                taken = await self._allowed(account, request, taken)
                if not taken and wait_s == _LOOK_S:
                    await self._make_room(account, record)
            if taken or self._stopping or remaining_s <= _LOOK_S:
                return self._ticketed(record, taken, self._clock() + request.deadline_s)

    async def acknowledge(self, account: str, request: AcknowledgeRequest) -> TicketsChecked:
        """Remove messages that were taken.

        Raises:
            RequestRefused: When a ticket was not given out for this queue; nothing is removed.
        """

        async def acknowledge(record: QueueRecord) -> TicketsChecked:
            contents = self.tickets.read(record.id, request.tickets)
            checked = await self._remove(account, record, contents)
            removed = len(request.tickets) - len(checked.expired)
            self.rates.removed(account, request.name, removed)
            return checked

        return await self._at(account, request.name, acknowledge)

    async def _remove(
        self, account: str, record: QueueRecord, contents: Sequence[TicketContent]
    ) -> TicketsChecked:
        """Remove messages and their blobs."""
        gone = await self._port.remove(record.id, [each.delivery for each in contents])
        for content, is_gone in zip(contents, gone, strict=True):
            if is_gone and content.blob:
                await self.blobs.delete(account, content.blob)
        return _expired(gone)

    async def extend(self, account: str, request: ExtendRequest) -> TicketsChecked:
        """Set new deadlines of messages that were taken.

        Raises:
            RequestRefused: When a ticket was not given out for this queue; nothing is changed.
        """

        async def extend(record: QueueRecord) -> TicketsChecked:
            contents = self.tickets.read(record.id, request.tickets)
            deliveries = [each.delivery for each in contents]
            if request.failed:
                self.rates.failed(account, request.name, len(deliveries))
            return _expired(await self._port.postpone(record.id, deliveries, request.deadline_s))

        return await self._at(account, request.name, extend)

    def stop_waiting(self) -> None:
        """Let every take that waits return, because the server is about to stop."""
        self._stopping = True

    async def _at(
        self, account: str, name: str, act: Callable[[QueueRecord], Awaitable[Result]]
    ) -> Result:
        """Do something with a queue.

        The record in memory may be older than what another process did: it is read again when the
        port does not know the queue. A crash may have prevented that the port made it.
        """
        view, key = self._commits.view, queue_key(account, name)
        record: QueueRecord | None = await view.get(key)
        if record is not None:
            try:
                return await act(record)
            except QueueNotFound:
                pass
        record = await view.fresh(key)
        if record is None:
            raise await missing_queue(view, account, name)
        await self._port.create(record.id)
        return await act(record)

    async def _allowed(
        self, account: str, request: TakeRequest, taken: Sequence[Delivery]
    ) -> Sequence[Delivery]:
        """Return what a handler may have; the rest is given back.

        Its handler may have been replaced or paused while it waited.
        """
        record = await self._recent(queue_key(account, request.name))
        if record is None:
            return taken
        ends = record.attachment != request.attachment or request.jid in record.ending
        if not ends and not record.paused:
            return taken
        if taken:
            await self._port.postpone(record.id, [each.id for each in taken], 0.0)
        if ends:
            raise HandlerReplaced(field="attachment")
        return ()

    async def _recent(self, key: str) -> QueueRecord | None:
        """Return the record of a queue; what another process has just written may be missing.

        A read of the state store takes as long as the rest of a take.
        """
        view, now = self._commits.view, self._clock()
        is_recent = abs(now - self._read_at.get(key, 0.0)) < _RECENT_S  # clocks may be set back
        record: QueueRecord | None = await (view.get(key) if is_recent else view.fresh(key))
        if not is_recent:
            self._read_at[key] = now
        return record

    async def _make_room(self, account: str, record: QueueRecord) -> None:
        """End a job of a handler that has no messages, if other jobs wait for a slot."""
        if not self._ready_queue.has_jobs(account):
            return
        # A message that is in flight may be with another reader of the same job.
        if not (await self._port.counts(record.id)).in_flight:
            raise HandlerReplaced(field="attachment")

    def _ticketed(
        self, record: QueueRecord, deliveries: Sequence[Delivery], deadline_at: float
    ) -> MessagesTaken:
        messages = [MESSAGE_DECODER.decode(each.body) for each in deliveries]
        contents = (
            TicketContent(each.id, message.blob.digest if message.blob else "")
            for each, message in zip(deliveries, messages, strict=True)
        )
        tickets = self.tickets.sign(record.id, contents)
        taken = [
            TakenMessage(ticket, message, each.pushed_at)
            for ticket, message, each in zip(tickets, messages, deliveries, strict=True)
        ]
        return MessagesTaken(messages=taken, deadline_at=deadline_at)


async def missing_queue(view: View, account: str, name: str, field: str = "name") -> QueueNotFound:
    """Return the error that an account has no queue of a name, which proposes a similar one."""
    names = await view.names(queue_key(account, ""))
    return QueueNotFound(missing_name("queue", name, names, ": create it first."), field=field)


async def _with(record: QueueRecord, result: Awaitable[Result]) -> tuple[QueueRecord, Result]:
    return record, await result


async def _nothing_after(wait_s: float) -> Sequence[Delivery]:
    await asyncio.sleep(wait_s)
    return ()


def _expired(valid: Sequence[bool]) -> TicketsChecked:
    return TicketsChecked(expired=[index for index, each in enumerate(valid) if not each])
