"""The archive: finished pages with their packs, moved from the state store into blobs.

A state store like Consul holds everything in memory; its size is to follow the work in flight.
The header and the jid index stay, so that jobs are found; the view reads the rest from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_driver.state import Delete
from picloud_model.errors import BlobMissing

from picloud_api.store import layout
from picloud_api.store.records import Sealed

if TYPE_CHECKING:
    from picloud_driver.blobs import BlobPort
    from picloud_driver.state import Entry, StatePort

_DECODER: Final = msgspec.msgpack.Decoder(Sealed)


class Archive:
    """Seals pages and reads sealed ones. Sealing again what was interrupted does no harm.

    A sealed page is opened again, for a change, by writing back its packs and then the page.
    """

    def __init__(self, state: StatePort, blobs: BlobPort) -> None:
        self._state = state
        self._blobs = blobs

    async def entries(self, place: layout.Place) -> dict[str, bytes]:
        """What a sealed page consists of, by its former keys; nothing if it is not sealed."""
        try:
            data = await self._blobs.get(layout.sealed(place))
        except BlobMissing:
            return {}
        return _DECODER.decode(data).entries

    async def seal(self, account: str, batch: str, pages: int) -> None:
        """Move every page of a finished batch into blobs, then forget that it waits for that."""
        packs = await self._packs(account, batch)
        for number in range(pages):
            await self._seal_page(layout.Place(account, batch, number), packs.get(number, []))
        await self._state.commit([Delete(layout.finished(account, batch))])

    async def _put(self, place: layout.Place, entries: dict[str, bytes]) -> None:
        """Write a page's blob. One that is there was interrupted, or opened again since."""
        if await self._blobs.put(layout.sealed(place), _encoded(entries)):
            return
        # Its packs may be gone from the state store already; what is there is the latest.
        before = await self.entries(place)
        if before != before | entries:
            # Until the new one is written nothing was removed since the page was opened.
            await self._blobs.delete(layout.sealed(place))
            await self._blobs.put(layout.sealed(place), _encoded(before | entries))

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


def _encoded(entries: dict[str, bytes]) -> bytes:
    return msgspec.msgpack.encode(Sealed(entries))
