"""References to blobs: everything that names one, so that the others can be deleted.

A noun that stores digests of blobs is added here; what is missing here is deleted after a day.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import BlobMissing, Unavailable
from picloud_model.pack import Pack
from picloud_model.wire import TRAILER_BYTES, Content, bundles_of

from picloud_api.store import layout
from picloud_api.store.blob_name import blob_name, modules_of
from picloud_api.store.queue_record import attachment_key
from picloud_api.store.rest_record import endpoint_key, version_key
from picloud_api.usecases.storage.snapshot import blobs_of
from picloud_api.usecases.storage.volume_record import volume_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from collections.abc import Set as AbstractSet

    from picloud_driver.blob import BlobPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.queue_record import AttachmentRecord
    from picloud_api.store.records import CronRecord, Header, StreamRecord
    from picloud_api.store.rest_record import EndpointRecord
    from picloud_api.usecases.storage.volume_record import VolumeRecord

_HEADERS: Final = 256
"""Headers in memory at once."""
_PACKS: Final = 16
"""Packs in memory at once; each may have 256 KiB."""
_CONTENT: Final = msgspec.msgpack.Decoder(Content)
_INFOS: Final = msgspec.msgpack.Decoder(dict[int, Content])


class BlobReferences:
    """Reads everything of an account that may name blobs, piece by piece.

    Args:
        context: The store.
        blobs: Where blobs are.
        named_by_messages: Returns those of some digests that messages of queues name.
    """

    def __init__(
        self,
        context: Context,
        blobs: BlobPort,
        named_by_messages: Callable[[str, AbstractSet[str]], Awaitable[AbstractSet[str]]],
    ) -> None:
        self._state = context.commits.view.state
        self._archive = context.archive
        self._blobs = blobs
        self._named_by_messages = named_by_messages

    async def unreferenced(self, account: str, digests: set[str]) -> set[str]:
        """Return those of some digests that nothing of an account refers to.

        What is cheap to read comes first: most blobs are named there, and nothing else is read if
        all are.

        Raises:
            ServerFault: When a sealed page is damaged, so that what it names is not known.
            BlobMissing: When a snapshot of a volume cannot be read, likewise.
            Unavailable: When something cannot be read now.
        """
        left, bundles = set(digests), set[str]()
        for names in (
            self._named_by_batches,
            self._named_by_templates,
            self._named_by_volumes,
            self._named_by_streams,
            self._named_by_packs,
            self._named_by_sealed,
        ):
            if not left:
                break
            async for digest, is_bundle in names(account):
                left.discard(digest)
                if is_bundle and digest not in bundles:
                    bundles.add(digest)
                    left.difference_update(await modules_of(self._blobs, account, digest))
        if left:
            left.difference_update(await self._named_by_messages(account, left))
        return left

    async def _named_by_batches(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield functions, arguments and bundles of batches that have jobs, and what was staged."""
        async for key, value in self._stored(layout.header(account, ""), _HEADERS):
            header: Header = layout.decode(key, value)
            # The function of a batch goes with the last of its jobs.
            if header.function != Content():
                yield header.function.digest, False
                yield header.bundle, bool(header.bundle)
                for part in header.parts:
                    yield part.content.digest, False
        async for key, value in self._stored(layout.staged(account, ""), _HEADERS):
            for part in layout.decode(key, value).parts:
                yield part.content.digest, False

    async def _named_by_templates(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield what the jobs of cron jobs, of handlers of queues and of endpoints name."""
        prefixes = (
            layout.cron(account),
            attachment_key(account, ""),
            endpoint_key(account),
            version_key(account),
        )
        for prefix in prefixes:
            async for key, value in self._stored(prefix, _HEADERS):
                record: CronRecord | AttachmentRecord | EndpointRecord = layout.decode(key, value)
                yield record.job.function.digest, False
                yield record.job.bundle, bool(record.job.bundle)
                for part in record.job.parts:
                    yield part.content.digest, False

    async def _named_by_volumes(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield all blobs of the snapshots that volumes keep."""
        async for key, value in self._stored(volume_key(account), _HEADERS):
            record: VolumeRecord = layout.decode(key, value)
            snapshots = [kept.digest for kept in record.history]
            async for digest in blobs_of(self._blobs, account, snapshots):
                yield digest, False

    async def _named_by_streams(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield the large values of streams that were not read."""
        async for key, value in self._stored(layout.stream(account), _HEADERS):
            record: StreamRecord = layout.decode(key, value)
            for chunk in record.chunks:
                yield chunk.digest, False

    async def _named_by_packs(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield results, infos and bundles that result packs in the state store name."""
        async for key, value in self._stored(layout.packs(account), _PACKS):
            if layout.is_results(key):
                async for named in self._named_by_pack(account, value):
                    yield named

    async def _named_by_sealed(self, account: str) -> AsyncIterator[tuple[str, bool]]:
        """Yield the same of sealed packs. They come last, as packs are sealed meanwhile."""
        async for name in self._blobs.names(layout.sealed_prefix(account)):
            entries = await self._archive.entries(layout.sealed_page(name))
            if not entries:
                raise Unavailable(f"The sealed record {name} is being written again.")
            for key, value in entries.items():
                if layout.is_results(key):
                    async for named in self._named_by_pack(account, value):
                        yield named

    async def _named_by_pack(self, account: str, data: bytes) -> AsyncIterator[tuple[str, bool]]:
        for digest, size in _contents(Pack(data)):
            if size < 0:
                yield digest, True
                continue
            yield digest, False
            for bundle in await self._trailer(account, digest, size):
                yield bundle, True

    async def _trailer(self, account: str, digest: str, size: int) -> list[str]:
        """Return the bundles that a result in a blob needs."""
        try:
            name = blob_name(account, digest)
            return bundles_of(await self._blobs.get(name, max(0, size - TRAILER_BYTES), size))
        except BlobMissing:
            return []

    async def _stored(self, prefix: str, limit: int) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what is stored under a prefix; not by the view, which would keep all of it."""
        after = ""
        while entries := await self._state.scan(prefix, after, limit=limit):
            for entry in entries:
                yield entry.key, entry.value
            after = entries[-1].key
            # The embedded store answers without suspending.
            await asyncio.sleep(0)


def _contents(pack: Pack) -> Iterator[tuple[str, int]]:
    """Yield the digest and size of each blob that a result pack names; -1 for a bundle."""
    for item in range(1, len(pack)):
        parcel = pack.view(item)
        for bundle in bundles_of(parcel):
            yield bundle, -1
        content = _decoded(_CONTENT, parcel)
        infos = _decoded(_INFOS, parcel) if item == len(pack) - 1 else None
        for each in [content, *(infos or {}).values()]:
            if each is not None and each.digest:
                yield each.digest, each.size


def _decoded(decoder: msgspec.msgpack.Decoder[Any], parcel: memoryview) -> Any:
    """Return what a parcel holds; None if that is something else, like the pickle of a result."""
    try:
        return decoder.decode(parcel)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
