"""Sealing: finished pages with their packs move from the state store into the archive.

Sixteen pages at a time, of as many batches as they are: one by one, a batch of one job costs six
requests to the state store, which was more than to run it.

Jobs may be deleted at any moment. So what is removed must be what was read: else it stays, and the
next pass seals it as it is then.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_driver.state import Conflict, Delete
from picloud_model.errors import ServerFault
from picloud_model.page import PAGE_JOBS, Page

from picloud_api.store import layout
from picloud_api.store.layout import PageId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_driver.state import StateEntry, StatePort

    from picloud_api.store.archive import Archive
    from picloud_api.store.records import BatchId, Header

AT_ONCE: Final = 16
"""Batches, and pages, in memory together: one transaction of Consul's removes 16 calls."""
_TOGETHER: Final = 2
"""A page and its batch's marker are removed together: work may be left in no other page."""


class _Finished(NamedTuple):
    """A page to be sealed."""

    page_id: PageId
    arguments: Sequence[str]
    """Keys of its argument packs, as far as they lie in the state store."""
    marker: StateEntry | None
    """For the last page of a batch, what says that the batch waits to be sealed."""

    @property
    def batch(self) -> BatchId:
        """Account and batch."""
        return self.page_id.batch_id


class Sealing:
    """Seals batches. Sealing again what was interrupted does no harm."""

    def __init__(self, state: StatePort, archive: Archive) -> None:
        self._state = state
        self._archive = archive

    async def seal(self, batches: Sequence[BatchId]) -> dict[BatchId, ServerFault]:
        """Move every page of finished batches, then forget that they wait for that.

        Args:
            batches: Account and id of each.

        Returns:
            What lies in the place of some batch's page and is not ours: that page stays.
        """
        pages = await self._pages(batches)
        faults: dict[BatchId, ServerFault] = {}
        for start in range(0, len(pages), AT_ONCE):
            group = pages[start : start + AT_ONCE]
            entries = await self._entries(group)
            told = await asyncio.gather(*map(self._put, group, entries))
            gone: list[list[StateEntry]] = []
            for page, found, fault in zip(group, entries, told, strict=True):
                if fault is not None:
                    faults[page.batch] = fault
                elif page.marker is not None and page.batch not in faults:
                    gone.append([*found, page.marker])
                else:
                    gone.append(found)
            await self._remove(gone)
        return faults

    async def _pages(self, batches: Sequence[BatchId]) -> list[_Finished]:
        """Every page of some batches, but of those that another process has sealed meanwhile."""
        names = [(layout.header(*batch), layout.finished(*batch)) for batch in batches]
        found = await self._state.get([name for pair in names for name in pair])
        return [
            page
            for batch, (header, marker) in zip(batches, names, strict=True)
            if header in found and marker in found
            for page in _pages_of(batch, found[header], found[marker])
        ]

    async def _entries(self, pages: Sequence[_Finished]) -> list[list[StateEntry]]:
        """What to seal of each page, its own entry last; nothing if it was sealed before."""
        names = [layout.page(page.page_id) for page in pages]
        found = await self._state.get(names)
        keys = [
            [*page.arguments, *_results(page.page_id, found[name].value), name]
            if name in found
            else []
            for page, name in zip(pages, names, strict=True)
        ]
        found |= await self._state.get([key for each in keys for key in each[:-1]])
        return [[found[key] for key in each if key in found] for each in keys]

    async def _put(self, page: _Finished, entries: Sequence[StateEntry]) -> ServerFault | None:
        try:
            if entries:
                await self._archive.put(page.page_id, {each.key: each.value for each in entries})
        except ServerFault as fault:
            return fault
        return None

    async def _remove(self, pages: Sequence[Sequence[StateEntry]]) -> None:
        with contextlib.suppress(Conflict):
            for steps in _transactions(pages, self._state.max_operations):
                await self._state.commit(steps)


def _transactions(pages: Sequence[Sequence[StateEntry]], most: int) -> Iterator[list[Delete]]:
    """Packs go before their page, whose key says that work is left, and it with the marker."""
    steps: list[Delete] = []
    for entries in pages:
        more = [Delete(entry.key, entry.version) for entry in entries]
        while len(more) > most:
            yield more[: most - _TOGETHER]
            more = more[most - _TOGETHER :]
        if len(steps) + len(more) > most:
            yield steps
            steps = []
        steps += more
    if steps:
        yield steps


def _pages_of(batch: BatchId, header: StateEntry, marker: StateEntry) -> list[_Finished]:
    made: Header = layout.decode(header.key, header.value)
    arguments: list[list[str]] = [[] for _ in range(made.pages)]
    for part in made.parts:
        if not part.content.digest:
            arguments[part.first // PAGE_JOBS].append(layout.arguments(*batch, part.first))
    return [
        _Finished(PageId(*batch, number), keys, marker if number == made.pages - 1 else None)
        for number, keys in enumerate(arguments)
    ]


def _results(page_id: PageId, page: bytes) -> list[str]:
    return [layout.results(page_id, number) for number in range(Page.decode(page).packs)]
