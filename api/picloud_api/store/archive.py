"""The archive: finished pages with their packs, moved from the state store into blobs.

A state store like Consul holds everything in memory; its size is to follow the work in flight.
The header and the jid index stay, so that jobs are found; the view reads the rest from here.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_driver.state import Delete
from picloud_model.errors import BlobMissing, ServerFault

from picloud_api.store import layout
from picloud_api.store.records import Sealed

if TYPE_CHECKING:
    from picloud_driver.blobs import BlobPort
    from picloud_driver.state import Entry, StatePort

_DECODER: Final = msgspec.msgpack.Decoder(Sealed)
_MAC_BYTES: Final = 32


class Archive:
    """Seals pages and reads sealed ones. Sealing again what was interrupted does no harm.

    A sealed page is opened again, for a change, by writing back its packs and then the page.

    Who can write to the blob store shall not be able to write records: each blob is signed together
    with its name, so that no other page's is taken for it.
    """

    def __init__(self, state: StatePort, blobs: BlobPort, key: bytes) -> None:
        self._state = state
        self._blobs = blobs
        self._key = key

    async def entries(self, place: layout.Place) -> dict[str, bytes]:
        """What a sealed page consists of, by its former keys; nothing if it is not sealed.

        Raises:
            ServerFault: When it is not what was sealed.
        """
        name = layout.sealed(place)
        try:
            data = memoryview(await self._blobs.get(name))
        except BlobMissing:
            return {}
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(name, body)):
            raise ServerFault(f"The sealed record {name} is damaged: it is not what was sealed.")
        return _DECODER.decode(body).entries

    async def seal(self, account: str, batch: str, pages: int) -> None:
        """Move every page of a finished batch into blobs, then forget that it waits for that."""
        packs = await self._packs(account, batch)
        for number in range(pages):
            await self._seal_page(layout.Place(account, batch, number), packs.get(number, []))
        await self._state.commit([Delete(layout.finished(account, batch))])

    async def _put(self, place: layout.Place, entries: dict[str, bytes]) -> None:
        """Write a page's blob. One that is there was interrupted, or opened again since."""
        name = layout.sealed(place)
        if await self._blobs.put(name, self._signed(name, entries)):
            return
        # Its packs may be gone from the state store already; what is there is the latest.
        before = await self.entries(place)
        if before != before | entries:
            # Until the new one is written nothing was removed since the page was opened.
            await self._blobs.delete(name)
            await self._blobs.put(name, self._signed(name, before | entries))

    async def _packs(self, account: str, batch: str) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = {}
        after, prefix = "", layout.packs(account, batch)
        while entries := await self._state.scan(prefix, after):
            for entry in entries:
                place = layout.place_of(entry.key)
                if place is not None:
                    found.setdefault(place.page, []).append(entry)
            after = entries[-1].key
        return found

    async def _seal_page(self, place: layout.Place, packs: list[Entry]) -> None:
        """Write the blob, remove the packs, and the page last: its key says that work is left."""
        name = layout.page(place)
        page = (await self._state.get([name])).get(name)
        if page is None:
            return
        await self._put(place, {entry.key: entry.value for entry in [page, *packs]})
        keys = [entry.key for entry in packs]
        for start in range(0, len(keys), self._state.max_operations):
            batch = keys[start : start + self._state.max_operations]
            await self._state.commit([Delete(key) for key in batch])
        await self._state.commit([Delete(name)])

    def _signed(self, name: str, entries: dict[str, bytes]) -> bytes:
        body = msgspec.msgpack.encode(Sealed(entries))
        return self._mac(name, body) + body

    def _mac(self, name: str, body: bytes | memoryview) -> bytes:
        found = hmac.new(self._key, f"{name}\0".encode(), sha256)
        found.update(body)
        return found.digest()
