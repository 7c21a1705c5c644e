"""Sealing: finished pages with their packs move from the state store into the archive.

Sixteen pages are sealed together, of however many batches: alone, a batch of one job would cost six
requests to the state store, more than running it.

Jobs may be deleted at any moment. So only what is still as it was read is removed; the rest stays,
and the next run seals it as it is then.
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
"""A page and the marker of its batch are removed together, as the marker says that work is left."""


class _Finished(NamedTuple):
    """A page that has to be sealed."""

    page_id: PageId
    arguments: Sequence[str]
    """Keys of its argument packs that are in the state store."""
    marker: StateEntry | None
    """For the last page of a batch: the entry that marks the batch as not sealed yet."""

    @property
    def batch(self) -> BatchId:
        """The batch that it is a page of."""
        return self.page_id.batch_id


class Sealing:
    """Seals batches; an interrupted run can be repeated."""

    def __init__(self, state: StatePort, archive: Archive) -> None:
        self._state = state
        self._archive = archive

    async def seal(self, batches: Sequence[BatchId]) -> dict[BatchId, ServerFault]:
        """Move every page of finished batches into the archive, then remove their markers.

        Returns:
            The faults of batches with a page whose blob is not what was sealed: that page stays.
        """
        pages = await self._pages(batches)
        faults: dict[BatchId, ServerFault] = {}
        for start in range(0, len(pages), AT_ONCE):
            group = pages[start : start + AT_ONCE]
            entries = await self._entries(group)
            put_faults = await asyncio.gather(*map(self._put, group, entries))
            removable: list[list[StateEntry]] = []
            for page, sealed, fault in zip(group, entries, put_faults, strict=True):
                if fault is not None:
                    faults[page.batch] = fault
                elif page.marker is not None and page.batch not in faults:
                    removable.append([*sealed, page.marker])
                else:
                    removable.append(sealed)
            await self._remove(removable)
        return faults

    async def _pages(self, batches: Sequence[BatchId]) -> list[_Finished]:
        """Return the pages of the batches that no other process has sealed meanwhile."""
        names = [(layout.header(*batch), layout.finished(*batch)) for batch in batches]
        stored = await self._state.get([name for pair in names for name in pair])
        return [
            page
            for batch, (header, marker) in zip(batches, names, strict=True)
            if header in stored and marker in stored
            for page in _pages_of(batch, stored[header], stored[marker])
        ]

    async def _entries(self, pages: Sequence[_Finished]) -> list[list[StateEntry]]:
        """Return the entries to seal for each page, its own last; none if it was sealed before."""
        names = [layout.page(page.page_id) for page in pages]
        stored = await self._state.get(names)
        keys = [
            [*page.arguments, *_results(page.page_id, stored[name].value), name]
            if name in stored
            else []
            for page, name in zip(pages, names, strict=True)
        ]
        stored |= await self._state.get([key for each in keys for key in each[:-1]])
        return [[stored[key] for key in each if key in stored] for each in keys]

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
    """Yield the deletions: packs before their page, and the last page together with the marker.

    As long as its page or marker is there, a later run finds what is left to do.
    """
    steps: list[Delete] = []
    for entries in pages:
        deletions = [Delete(entry.key, entry.version) for entry in entries]
        while len(deletions) > most:
            yield deletions[: most - _TOGETHER]
            deletions = deletions[most - _TOGETHER :]
        if len(steps) + len(deletions) > most:
            yield steps
            steps = []
        steps += deletions
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
