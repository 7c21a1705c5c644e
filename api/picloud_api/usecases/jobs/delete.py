"""Deleting: what jobs left is removed; what accounts are kept by stays.

The mark in the page comes first and decides. What it speaks of is blanked after it, pack by pack; a
crash in between leaves bytes nobody can ask for, which the next deletion of the job removes.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestRefused
from picloud_model.pack import Pack, write
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import Content, Deleted, decode

from picloud_api.engine.jobs.locate import CHANGED_AT_ONCE, by_page, locate, pages
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Finished
from picloud_api.store.view import SEALED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId
    from picloud_api.store.records import Header

_INFOS: Final = dict[int, Content]


class DeleteJobs:
    """Removes results, output and arguments of finished jobs."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._archive = context.archive
        self._clock = context.clock

    async def delete(self, account: str, asked: Sequence[Range]) -> Deleted:
        """Delete jobs; those deleted before are left as they are.

        Raises:
            JobNotFound: When one of them does not exist in this account.
            RequestRefused: When one of them has not finished; then none is deleted.
        """
        wanted = await locate(self._commits.view, account, asked)
        async for piece, page in pages(self._commits.view, wanted):
            _refuse_unfinished(page, piece)
        count = 0
        for some in by_page(wanted):
            count += sum(await asyncio.gather(*(self._delete_in(*chosen) for chosen in some)))
        batches = list({piece.page_id.batch for piece in wanted})
        for start in range(0, len(batches), CHANGED_AT_ONCE):
            forgotten = batches[start : start + CHANGED_AT_ONCE]
            await asyncio.gather(*(self._forget_function(account, batch) for batch in forgotten))
        return Deleted(count=count)

    async def _delete_in(self, page_id: PageId, indexes: Sequence[int]) -> int:
        """Delete jobs of a page; how many were not deleted before."""
        await self._open(page_id)
        count = await self._commits.run(partial(self._mark, page_id=page_id, indexes=indexes))
        await self._blank(page_id, indexes)
        return count

    async def _open(self, page_id: PageId) -> None:
        """Write the packs of a sealed page back; the page itself follows with its change."""
        cell = await self._commits.view.cell(layout.page(page_id))
        if cell is None or cell.version != SEALED:
            return
        for name, data in (await self._archive.entries(page_id)).items():
            if name != layout.page(page_id):
                await self._commits.run(partial(_write_back, name=name, data=data))

    async def _mark(self, draft: Draft, page_id: PageId, indexes: Sequence[int]) -> int:
        name = layout.page(page_id)
        page = await draft.get(name)
        fresh = [index for index in indexes if not page.flags[index] & Flag.DELETED]
        own = await draft.edit(name) if fresh else None
        if own is None:
            return 0
        for index in fresh:
            own.flags[index] |= Flag.DELETED
        await self._seal_again(draft, page_id)
        draft.emit(Event(EventKind.FINISHED, *page_id[:2]))
        return len(fresh)

    async def _seal_again(self, draft: Draft, page_id: PageId) -> None:
        """A batch that is finished, or sealed already, is sealed with what it is now."""
        account, batch, _ = page_id
        if not draft.bounded or await draft.get(layout.ready(account, batch)) is not None:
            return
        header: Header = await draft.get(layout.header(account, batch))
        name = layout.finished(account, batch)
        await draft.get(name)
        # Also where it waits for that: whoever seals it now shall find that something changed.
        draft.put(name, Finished(header.pages, finished_at=self._clock()))

    async def _blank(self, page_id: PageId, indexes: Sequence[int]) -> None:
        """Remove what lies in packs of the deleted jobs."""
        page: Page = await self._commits.view.get(layout.page(page_id))
        results: dict[int, list[int]] = {}
        kept = _kept(page)
        for index in indexes:
            number, item = page.pack[index], page.item[index]
            if item and (number, item) not in kept:
                results.setdefault(number, []).append(item)
        for number, items in results.items():
            name = layout.results(page_id, number)
            await self._commits.run(partial(_blank_results, name=name, items=items))
        header: Header = await self._commits.view.get(layout.header(page_id.account, page_id.batch))
        base = page_id.page * PAGE_JOBS
        for part in header.parts:
            first = part.first - base
            items = [index - first for index in indexes if first <= index < first + part.count]
            if items and not part.content.digest:
                name = layout.arguments(page_id.account, page_id.batch, part.first)
                await self._commits.run(partial(_blank_items, name=name, items=items))

    async def _forget_function(self, account: str, batch: str) -> None:
        """The last job of a batch takes the function along."""
        name = layout.header(account, batch)
        header: Header = await self._commits.view.get(name)
        for number in range(header.pages):
            page_id = layout.PageId(account, batch, number)
            page: Page = await self._commits.view.get(layout.page(page_id))
            if not all(flags & Flag.DELETED for flags in page.flags):
                return
        await self._commits.run(partial(_blank_function, name=name))


def _kept(page: Page) -> set[tuple[int, int]]:
    """Parcels of jobs that are not deleted: jobs the platform ended together share one."""
    return {
        (page.pack[index], page.item[index])
        for index in range(len(page))
        if not page.flags[index] & Flag.DELETED
    }


async def _blank_function(draft: Draft, name: str) -> None:
    header: Header = await draft.get(name)
    if header.function != Content():
        draft.put(name, msgspec.structs.replace(header, function=Content()))


async def _write_back(draft: Draft, name: str, data: bytes) -> None:
    if await draft.get(name) is not None:
        draft.put(name, data)


async def _blank_items(draft: Draft, name: str, items: Iterable[int]) -> set[int]:
    """Blank some parcels of a pack; answers those that were not blank yet."""
    data = await draft.get(name)
    if data is None:
        return set()
    pack = Pack(data)
    gone = {item for item in items if pack.view(item)}
    if gone:
        draft.put(name, write([b"" if at in gone else pack[at] for at in range(len(pack))]))
    return gone


async def _blank_results(draft: Draft, name: str, items: Sequence[int]) -> None:
    """As `_blank_items`, for a pack whose last parcel may hold infos, by items."""
    gone = await _blank_items(draft, name, items)
    if not gone:
        return
    pack = Pack(await draft.get(name))
    *parcels, last = [pack[at] for at in range(len(pack))]
    infos = _infos(last)
    if infos is not None:
        kept = {item: info for item, info in infos.items() if item not in gone}
        draft.put(name, write([*parcels, msgspec.msgpack.encode(kept)]))


def _infos(parcel: bytes) -> dict[int, Content] | None:
    """The infos of a result pack, if its last parcel is that and not a result."""
    try:
        return decode(parcel, _INFOS)
    except msgspec.MsgspecError:
        return None


def _refuse_unfinished(page: Page, piece: PageSlice) -> None:
    for index in range(piece.start, piece.stop):
        if not page.ended(index):
            shown, jid = page.shown(index).value, piece.first + index
            message = f"Job {jid} is {shown}: only finished jobs can be deleted; kill it first."
            raise RequestRefused(message, field="jids")
