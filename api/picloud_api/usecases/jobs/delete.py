"""`delete`: removes what finished jobs left; what accounts are billed by stays.

The flag in the page is set first and decides. Then the job's parcels are blanked, pack by pack. A
crash in between leaves bytes that no request can read; the next deletion of the job removes them.
"""

from __future__ import annotations

import asyncio
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestConflict
from picloud_model.pack import Pack, write
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.ranges import merged
from picloud_model.wire import Content, Deleted, decode

from picloud_api.engine.jobs.locate import CHANGED_AT_ONCE, group_by_page, locate, read_pages
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Finished, Header
from picloud_api.store.view import SEALED
from picloud_api.store.webhook_record import failed_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId

MOST_DELETED: Final = 20_000
"""After how many jobs a request that deletes all of them is answered; the next one goes on."""
_SCANNED: Final = 256
_DELETED: Final = int(Flag.DELETED)
_INFOS: Final = dict[int, Content]


class DeleteJobs:
    """Removes results, output and arguments of finished jobs."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._archive = context.archive
        self._turns = context.turns
        self._clock = context.clock

    async def delete(self, account: str, jids: Sequence[Range]) -> Deleted:
        """Delete jobs; those that were deleted before are not changed.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            RequestConflict: When one of them has not finished; then none is deleted.
        """
        async with self._turns.of(account) as turn:
            pieces = await locate(self._commits.view, account, merged(jids), turn)
            async for piece, page in read_pages(self._commits.view, pieces):
                _refuse_unfinished(page, piece)
                await turn.pause()
        count = 0
        for group in group_by_page(pieces):
            async with self._turns.of(account):
                count += sum(await asyncio.gather(*(self._delete_in(*chosen) for chosen in group)))
        batches = list({piece.page_id.batch for piece in pieces})
        for start in range(0, len(batches), CHANGED_AT_ONCE):
            some = batches[start : start + CHANGED_AT_ONCE]
            await asyncio.gather(*(self._remove_function(account, batch) for batch in some))
        return Deleted(count=count)

    async def delete_finished(
        self, account: str, before: float = inf, most: int = MOST_DELETED
    ) -> Deleted:
        """Delete the jobs of an account that ended before a time, as many as a request may take.

        Args:
            account: Whose jobs.
            before: Seconds since the epoch; every finished job by default.
            most: After how many jobs to stop, at the end of a page.
        """
        count, after, prefix = 0, "", layout.header(account, "")
        # Not by the view, which would keep every header in memory.
        while entries := await self._commits.view.state.scan(prefix, after, limit=_SCANNED):
            for entry in entries:
                header: Header = layout.decode(entry.key, entry.value)
                # The function of a batch goes with the last of its jobs.
                if header.function != Content() and header.created_at < before:
                    batch = Header.parse(entry.key).batch
                    count += await self._delete_of(account, batch, before, most - count)
                if count >= most:
                    return Deleted(count=count, more=True)
            after = entries[-1].key
        return Deleted(count=count)

    async def _delete_of(self, account: str, batch: str, before: float, most: int) -> int:
        """Delete jobs of a batch that ended before a time, until there are enough; return how many.

        What is left of a batch keeps its function, so that the next request goes on with it.
        """
        header: Header | None = await self._commits.view.get(layout.header(account, batch))
        count = 0
        for number in range(header.pages if header else 0):
            if count >= most:
                return count
            page_id = layout.PageId(account, batch, number)
            async with self._turns.of(account):  # a map of a million jobs has a thousand pages
                page: Page | None = await self._commits.view.fresh(layout.page(page_id))
                ended = [] if page is None else _ended_before(page, before)
                if ended:
                    count += await self._delete_in(page_id, ended)
        if count:
            await self._remove_function(account, batch)
        return count

    async def _delete_in(self, page_id: PageId, indexes: Sequence[int]) -> int:
        """Delete jobs of a page; return how many were not deleted before."""
        await self._unseal_packs(page_id)
        count = await self._commits.run(partial(self._mark, page_id=page_id, indexes=indexes))
        await self._blank(page_id, indexes)
        return count

    async def _unseal_packs(self, page_id: PageId) -> None:
        """Write the packs of a sealed page back to the store; `_mark` writes the page itself."""
        cell = await self._commits.view.cell(layout.page(page_id))
        if cell is None or cell.version != SEALED:
            return
        for name, data in (await self._archive.entries(page_id)).items():
            if name != layout.page(page_id):
                await self._commits.run(partial(_write_back, name=name, data=data))

    async def _mark(self, draft: Draft, page_id: PageId, indexes: Sequence[int]) -> int:
        """Flag jobs of a page as deleted; return how many were not before."""
        name = layout.page(page_id)
        page = await draft.get(name)
        undeleted = [index for index in indexes if not page.flags[index] & _DELETED]
        own = await draft.edit(name) if undeleted else None
        if own is None:
            return 0
        for index in undeleted:
            own.flags[index] |= Flag.DELETED
        await self._seal_again(draft, page_id)
        draft.emit(Event(EventKind.FINISHED, *page_id[:2]))
        return len(undeleted)

    async def _seal_again(self, draft: Draft, page_id: PageId) -> None:
        """Have the batch sealed with its new content, if all of its jobs have ended."""
        account, batch, _ = page_id
        if not draft.bounded or await draft.get(layout.ready(account, batch)) is not None:
            return
        header: Header = await draft.get(layout.header(account, batch))
        name = layout.finished(account, batch)
        await draft.get(name)
        # Even if it waits to be sealed: a sealer that is at work now must find that it changed.
        draft.put(name, Finished(header.pages, finished_at=self._clock()))

    async def _blank(self, page_id: PageId, indexes: Sequence[int]) -> None:
        """Blank the results and arguments of deleted jobs in their packs."""
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
            if first >= PAGE_JOBS or first + part.count <= 0:
                continue  # nearly all parts of a large map are of other pages
            items = [index - first for index in indexes if first <= index < first + part.count]
            if items and not part.content.digest:
                name = layout.arguments(page_id.account, page_id.batch, part.first)
                await self._commits.run(partial(_blank_items, name=name, items=items))

    async def _remove_function(self, account: str, batch: str) -> None:
        """Remove the function of a batch if all of its jobs are deleted."""
        name = layout.header(account, batch)
        header: Header = await self._commits.view.get(name)
        for number in range(header.pages):
            page_id = layout.PageId(account, batch, number)
            page: Page = await self._commits.view.get(layout.page(page_id))
            if not all(flags & _DELETED for flags in page.flags):
                return
        forgotten = failed_key(account, batch) if header.options.on_done else ""
        await self._commits.run(partial(_blank_function, name=name, webhook=forgotten))


def _ended_before(page: Page, before: float) -> list[int]:
    """Return the indexes of the jobs that ended before a time and are not deleted."""
    return [
        index
        for index in range(len(page))
        # The quickest test first: a request reads what earlier ones have deleted of a large map.
        if not page.flags[index] & _DELETED and page.finished[index] < before and page.ended(index)
    ]


def _kept(page: Page) -> set[tuple[int, int]]:
    """Return the parcels that remain in use: jobs that the platform ended together share one."""
    return {
        (page.pack[index], page.item[index])
        for index in range(len(page))
        if not page.flags[index] & _DELETED
    }


async def _blank_function(draft: Draft, name: str, webhook: str) -> None:
    """Remove the function of a batch, and what is known of its webhook if it failed."""
    header: Header = await draft.get(name)
    if webhook and await draft.fresh(webhook) is not None:
        draft.delete(webhook)
    if header.function != Content():
        draft.put(name, msgspec.structs.replace(header, function=Content()))


async def _write_back(draft: Draft, name: str, data: bytes) -> None:
    if await draft.get(name) is not None:
        draft.put(name, data)


async def _blank_items(draft: Draft, name: str, items: Iterable[int]) -> set[int]:
    """Blank some parcels of a pack; return those that were not blank before."""
    data = await draft.get(name)
    if data is None:
        return set()
    pack = Pack(data)
    blanked = {item for item in items if pack.view(item)}
    if blanked:
        draft.put(name, write([b"" if at in blanked else pack[at] for at in range(len(pack))]))
    return blanked


async def _blank_results(draft: Draft, name: str, items: Sequence[int]) -> None:
    """Blank parcels of a result pack, and their infos in its last parcel if it has any."""
    blanked = await _blank_items(draft, name, items)
    if not blanked:
        return
    pack = Pack(await draft.get(name))
    *parcels, last = [pack[at] for at in range(len(pack))]
    infos = _infos(last)
    if infos is not None:
        kept = {item: info for item, info in infos.items() if item not in blanked}
        draft.put(name, write([*parcels, msgspec.msgpack.encode(kept)]))


def _infos(parcel: bytes) -> dict[int, Content] | None:
    """Return the infos of a result pack, or None if its last parcel is a result."""
    try:
        return decode(parcel, _INFOS)
    except msgspec.MsgspecError:
        return None


def _refuse_unfinished(page: Page, piece: PageSlice) -> None:
    for index in range(piece.start, piece.stop):
        if not page.ended(index):
            shown, jid = page.shown(index).value, piece.first + index
            message = f"Job {jid} is {shown}: only finished jobs can be deleted; kill it first."
            raise RequestConflict(message, field="jids")
