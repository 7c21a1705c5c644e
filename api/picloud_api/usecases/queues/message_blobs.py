"""Messages in blobs: those that are too large for the queue port."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, QueueNotFound
from picloud_model.wire.queue import QueueMessage

from picloud_api.store.blob_name import blob_name
from picloud_api.store.queue_record import QueueRecord, queue_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.blob import BlobPort
    from picloud_driver.queue import QueuePort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

_DRAIN_S: Final = 60.0
MESSAGE_DECODER: Final = msgspec.msgpack.Decoder(QueueMessage)
"""Reads a message as the queue port keeps it."""


class MessageBlobs:
    """Checks, notes and deletes the blobs of messages."""

    def __init__(self, context: Context, port: QueuePort, blobs: BlobPort) -> None:
        self._commits = context.commits
        self._port = port
        self._blobs = blobs

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

    async def may_be_used(self, account: str) -> bool:
        """Whether messages of an account may be in blobs; which these are cannot be listed."""
        records = (await self._commits.view.scan(queue_key(account, ""))).values()
        for record in records:
            if record.spills:
                try:
                    counts = await self._port.counts(record.id)
                except QueueNotFound:
                    continue
                if counts.ready or counts.delayed or counts.in_flight:
                    return True
        return False
