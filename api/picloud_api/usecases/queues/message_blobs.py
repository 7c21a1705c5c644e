"""Messages in blobs: those that are too large for the queue port."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, QueueNotFound
from picloud_model.wire.queue import QueueMessage

from picloud_api.store.blob_name import blob_name
from picloud_api.store.queue_record import QueueRecord, queue_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from picloud_driver.blob import BlobPort
    from picloud_driver.queue import QueuePort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

_DRAIN_S: Final = 60.0
MESSAGE_DECODER: Final = msgspec.msgpack.Decoder(QueueMessage)
"""Reads a message as the queue port keeps it."""


class MessageBlobs:
    """Checks, notes, finds and deletes the blobs of messages.

    Args:
        context: The store.
        port: Where messages are.
        blobs: Where blobs are.
        most_read: Most messages of a queue that are read to find the blobs that they name.
    """

    def __init__(
        self, context: Context, port: QueuePort, blobs: BlobPort, most_read: int = 100_000
    ) -> None:
        self._commits = context.commits
        self._port = port
        self._blobs = blobs
        self._most_read = most_read

    async def require(self, account: str, digests: Sequence[str]) -> None:
        """Raise BlobMissing unless all these blobs are stored."""
        names = [blob_name(account, digest) for digest in digests]
        if names and await self._blobs.missing(names):
            raise BlobMissing(digests=tuple(digests), field="messages")

    async def note_spill(self, account: str, name: str) -> None:
        """Note that a queue has messages in blobs."""
        key = queue_key(account, name)

        async def plan(draft: Draft) -> None:
            record: QueueRecord | None = await draft.get(key)
            if record is not None and not record.spills:
                draft.put(key, msgspec.structs.replace(record, spills=True))

        await self._commits.run(plan)

    async def delete(self, account: str, digest: str) -> None:
        """Delete the blob of a message."""
        await self._blobs.delete(blob_name(account, digest))

    async def sweep(self, account: str, record: QueueRecord) -> None:
        """Delete the blobs of messages that can be taken, before the messages are removed."""
        while record.spills:
            try:
                taken = await self._port.take(
                    record.id, self._port.max_messages, deadline_s=_DRAIN_S, timeout_s=0.0
                )
            except QueueNotFound:
                return
            if not taken:
                return
            for each in taken:
                message = MESSAGE_DECODER.decode(each.body)
                if message.blob:
                    await self.delete(account, message.blob.digest)
            await self._port.remove(record.id, [each.id for each in taken])
            await asyncio.sleep(0)

    async def named(self, account: str, digests: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of some digests that messages of an account name.

        All of them are returned if a queue has too many messages to read.
        """
        found: set[str] = set()
        records: dict[str, QueueRecord] = await self._commits.view.scan(queue_key(account, ""))
        for record in records.values():
            if not record.spills:
                continue
            with suppress(QueueNotFound):
                counts = await self._port.counts(record.id)
                if counts.ready + counts.delayed + counts.in_flight > self._most_read:
                    return digests
                async for body in self._port.bodies(record.id):
                    message = MESSAGE_DECODER.decode(body)
                    if message.blob and message.blob.digest in digests:
                        found.add(message.blob.digest)
        return found
