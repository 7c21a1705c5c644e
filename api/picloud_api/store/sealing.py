"""Sealing: finished pages with their packs move from the state store into the archive.

Sixteen pages at a time, of as many batches as they are: one by one, a batch of one job costs six
requests to the state store, which was more than to run it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from picloud_driver.state import Delete
from picloud_model.errors import ServerFault
from picloud_model.page import PAGE_JOBS, Page

from picloud_api.store import layout
from picloud_api.store.layout import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.state import StatePort

    from picloud_api.store.archive import Archive
    from picloud_api.store.records import Header

    BatchKey: TypeAlias = tuple[str, str]
    Entries: TypeAlias = dict[str, bytes]

AT_ONCE: Final = 16
"""Pages in memory at once: with a pack each, what removes them is one transaction of Consul's."""


class _Finished(NamedTuple):
    """A page to be sealed."""

    place: Place
    arguments: Sequence[str]
    """Keys of its argument packs, as far as they lie in the state store."""
    marker: str = ""
    """For the last page of a batch, the key that says that the batch waits to be sealed."""

    @property
    def batch(self) -> BatchKey:
        """Account and batch."""
        return self.place.account, self.place.batch


class Sealing:
    """Seals batches. Sealing again what was interrupted does no harm."""

    def __init__(self, state: StatePort, archive: Archive) -> None:
        self._state = state
        self._archive = archive

    async def seal(self, finished: Mapping[BatchKey, int]) -> dict[BatchKey, ServerFault]:
        """Move every page of finished batches, then forget that they wait for that.

        Args:
            finished: How many pages each batch has.

        Returns:
            What lies in the place of some batch's page and is not ours: that page stays.
        """
        pages = await self._pages(finished)
        faults: dict[BatchKey, ServerFault] = {}
        for start in range(0, len(pages), AT_ONCE):
            group = pages[start : start + AT_ONCE]
            entries = await self._entries(group)
            told = await asyncio.gather(*map(self._put, group, entries))
            gone: list[str] = []
            for page, keys, fault in zip(group, entries, told, strict=True):
                if fault is None:
                    gone += keys
                else:
                    faults[page.batch] = fault
            gone += [page.marker for page in group if page.marker and page.batch not in faults]
            await self._remove(gone)
        return faults

    async def _pages(self, finished: Mapping[BatchKey, int]) -> list[_Finished]:
        names = {batch: layout.header(*batch) for batch in finished}
        found = await self._state.get(list(names.values()))
        pages: list[_Finished] = []
        for batch, count in finished.items():
            name = names[batch]
            pages += _pages_of(batch, count, layout.decode(name, found[name].value))
        return pages

    async def _entries(self, pages: Sequence[_Finished]) -> list[Entries]:
        """What to seal of each page, its own key last; nothing for one that was sealed before."""
        names = [layout.page(page.place) for page in pages]
        found = await self._state.get(names)
        keys = [
            [*page.arguments, *_results(page.place, found[name].value), name]
            if name in found
            else []
            for page, name in zip(pages, names, strict=True)
        ]
        found |= await self._state.get([key for each in keys for key in each[:-1]])
        return [{key: found[key].value for key in each if key in found} for each in keys]

    async def _put(self, page: _Finished, entries: Entries) -> ServerFault | None:
        try:
            if entries:
                await self._archive.put(page.place, entries)
        except ServerFault as fault:
            return fault
        return None

    async def _remove(self, keys: Sequence[str]) -> None:
        """Packs before their page, whose key says that work is left, and the markers last."""
        for start in range(0, len(keys), self._state.max_operations):
            part = keys[start : start + self._state.max_operations]
            await self._state.commit([Delete(key) for key in part])


def _pages_of(batch: BatchKey, count: int, header: Header) -> list[_Finished]:
    arguments: list[list[str]] = [[] for _ in range(count)]
    for part in header.parts:
        if not part.content.digest:
            arguments[part.first // PAGE_JOBS].append(layout.arguments(*batch, part.first))
    marker = layout.finished(*batch)
    return [
        _Finished(Place(*batch, number), keys, marker if number == count - 1 else "")
        for number, keys in enumerate(arguments)
    ]


def _results(place: Place, page: bytes) -> list[str]:
    return [layout.results(place, number) for number in range(Page.decode(page).packs)]
