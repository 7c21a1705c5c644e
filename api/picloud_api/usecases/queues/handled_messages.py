"""Messages that were handled: what was made of them is pushed, and they are removed."""

from __future__ import annotations

from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from picloud_driver.queue import QueuePush
from picloud_model.errors import QueueNotFound
from picloud_model.wire.attachment import HOLD_S
from picloud_model.wire.queue import TicketsChecked

from picloud_api.store.queue_record import QueueRecord, queue_key
from picloud_api.usecases.queues.output_ids import output_ids
from picloud_api.usecases.queues.queue import missing_queue
from picloud_api.usecases.queues.queue_message import blobs_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.queue import QueuePort
    from picloud_model.wire.attachment import HandledRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.queues.queue import Queues
    from picloud_api.usecases.queues.queue_ticket import TicketContent

    Records = Mapping[str, QueueRecord]


class HandledMessages:
    """Pushes what handlers made of messages, and removes these."""

    def __init__(self, context: Context, port: QueuePort, queues: Queues) -> None:
        self._view = context.commits.view
        self._port = port
        self._queues = queues

    async def exchange(self, account: str, request: HandledRequest) -> TicketsChecked:
        """Push what a handler made of messages, then remove these messages.

        Raises:
            RequestRefused: When a ticket was not given out for this queue, or a message to push has
                not exactly one content; nothing is pushed or removed.
            QueueNotFound: When one of the queues does not exist.
            BlobMissing: When the blob of a message to push was not stored.
        """
        blobs = [blobs_of(output.messages) for output in request.outputs]
        await self._queues.blobs.require(account, [*chain(*blobs)])
        names = {request.queue, *(output.queue for output in request.outputs)}
        # The records in memory may be older than what another process did.
        found = {name: await self._view.get(queue_key(account, name)) for name in names}
        if None not in found.values():
            try:
                return await self._exchange(account, request, found, blobs)
            except QueueNotFound:
                pass
        records = {name: await self._present(account, name) for name in sorted(names)}
        return await self._exchange(account, request, records, blobs)

    async def _present(self, account: str, name: str) -> QueueRecord:
        """Return the record of a queue, which the port has from now on."""
        record: QueueRecord | None = await self._view.fresh(queue_key(account, name))
        if record is None:
            raise await missing_queue(self._view, account, name)
        await self._port.create(record.id)
        return record

    async def _exchange(
        self,
        account: str,
        request: HandledRequest,
        records: Records,
        blobs: Sequence[Sequence[str]],
    ) -> TicketsChecked:
        source = records[request.queue]
        contents = self._queues.tickets.read(source.id, request.tickets)
        pushes = _pushes(request, records, [each.delivery.number for each in contents])
        for output, digests in zip(request.outputs, blobs, strict=True):
            if digests and not records[output.queue].spills:
                await self._queues.blobs.note_spill(account, output.queue)
        deliveries = [each.delivery for each in contents]
        if pushes:
            exchanged = await self._port.exchange(source.id, deliveries, pushes, hold_s=HOLD_S)
            if exchanged.expired and not exchanged.repeated:
                # What another handler has by now is pushed by that one.
                return TicketsChecked(expired=exchanged.expired)
            self._note_pushed(account, request, records, exchanged.repeated)
            expired = exchanged.expired
        else:
            gone = await self._port.remove(source.id, deliveries)
            expired = [position for position, each in enumerate(gone) if not each]
        rates = self._queues.rates
        rates.removed(account, request.queue, len(contents) - len(expired))
        rates.failed(account, request.queue, request.failed)
        await self._delete_blobs(account, contents, {*chain(*blobs)}, {*expired})
        return TicketsChecked(expired=expired)

    def _note_pushed(
        self,
        account: str,
        request: HandledRequest,
        records: Records,
        repeated: Sequence[set[int]],
    ) -> None:
        """Count what was pushed, and let handlers of those queues be started."""
        for output, left_out in zip(request.outputs, repeated, strict=True):
            count = len(output.messages) - len(left_out)
            self._queues.rates.pushed(account, output.queue, count)
            if records[output.queue].attachment:
                self._queues.pushed.add(account, output.queue)

    async def _delete_blobs(
        self, account: str, contents: Sequence[TicketContent], kept: set[str], expired: set[int]
    ) -> None:
        """Delete the blobs of messages that were removed, unless they are pushed again.

        The blob of a message that was left out stays until it is swept: if the same request is sent
        again, it is that of the message that was pushed.
        """
        for position, each in enumerate(contents):
            if each.blob and each.blob not in kept and position not in expired:
                await self._queues.blobs.delete(account, each.blob)


def _pushes(request: HandledRequest, records: Records, numbers: Sequence[int]) -> list[QueuePush]:
    """Return what to push, with ids that are the same whenever the same messages are handled."""
    source = records[request.queue].id
    ids = output_ids(request, source, numbers)
    pushes = []
    for position, output in enumerate(request.outputs):
        text = f"{request.attachment}/{[*numbers]}/{position}"
        push = QueuePush(
            queue=records[output.queue].id,
            push_id=blake2b(text.encode(), digest_size=16).hexdigest(),
            bodies=[msgspec.msgpack.encode(message) for message in output.messages],
            delay_s=output.delay_s,
            ids=ids[position],
        )
        pushes.append(push)
    return pushes
