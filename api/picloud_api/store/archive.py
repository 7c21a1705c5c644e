"""The archive: finished pages with their packs, as blobs; `sealing` moves them here.

A state store like Consul keeps everything in memory, so it should only hold the work in flight. The
header and the jid index stay there, so that jobs are found; the view reads the rest from here.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, ServerFault

from picloud_api.store import layout
from picloud_api.store.records import Sealed

if TYPE_CHECKING:
    from picloud_driver.blob import BlobPort

_DECODER: Final = msgspec.msgpack.Decoder(Sealed)
_MAC_BYTES: Final = 32


class Archive:
    """Writes and reads sealed pages.

    A sealed page is opened again, for a change, by writing back its packs and then the page.

    Write access to the blob store must not be write access to records: each blob is signed together
    with its name, so that the blob of one page is never accepted for another one.
    """

    def __init__(self, blobs: BlobPort, key: bytes) -> None:
        self._blobs = blobs
        self._key = key

    async def entries(self, page_id: layout.PageId) -> dict[str, bytes]:
        """Return the page and packs that were sealed, by their former keys; empty if none were.

        Raises:
            ServerFault: When the blob is not what was sealed.
        """
        name = layout.sealed(page_id)
        try:
            data = memoryview(await self._blobs.get(name))
        except BlobMissing:
            return {}
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, body)):
            raise ServerFault(f"The sealed record {name} is damaged: it is not what was sealed.")
        return _DECODER.decode(body).entries

    async def put(self, page_id: layout.PageId, entries: dict[str, bytes]) -> None:
        """Write a page's blob, over one of an interrupted sealing or of before the page was opened.

        Raises:
            ServerFault: When an existing blob is not what was sealed.
        """
        name = layout.sealed(page_id)
        if await self._blobs.put(name, self._signed(name, entries)):
            return
        # Some packs may have been removed from the state store already; those there are the latest.
        before = await self.entries(page_id)
        if before != before | entries:
            # Nothing is removed from the state store before the new blob is written.
            await self._blobs.delete(name)
            await self._blobs.put(name, self._signed(name, before | entries))

    def _signed(self, name: str, entries: dict[str, bytes]) -> bytes:
        body = msgspec.msgpack.encode(Sealed(entries))
        return self._mac(name, body) + body

    def _mac(self, name: str, body: bytes | memoryview) -> bytes:
        mac = hmac.new(self._key, f"{name}\0".encode(), sha256)
        mac.update(body)
        return mac.digest()
