"""Leases by slot: which jobs a slot holds, and queueing those that it no longer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.page import PAGE_JOBS

from picloud_api.engine.jobs.fence import jobs_of_slot
from picloud_api.store import layout
from picloud_api.store.records import Ready

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_api.engine.process.context import Context
    from picloud_api.store.view import View


async def leases_of(view: View, account: str, slot: int) -> list[tuple[str, int, int]]:
    """Return (batch, index, attempt) of each job that a slot holds; reads all unfinished pages."""
    pages = [
        layout.PageId(*Ready.parse(key), number)
        for key, ready in (await view.scan(layout.ready(account))).items()
        for number in range(ready.pages)
    ]
    if view.state.shared:
        await view.reload([layout.page(page_id) for page_id in pages])
    leases = []
    for page_id in pages:
        page = await view.get(layout.page(page_id))
        if page is not None and page.leased:
            leases += [
                (page_id.batch, page_id.page * PAGE_JOBS + index, page.attempt[index])
                for index in jobs_of_slot(page, slot)
            ]
    return leases


async def requeue(context: Context, account: str, touched: Iterable[tuple[str, int]]) -> None:
    """Queue pages that have jobs to lease again, and wake as many slots."""
    for batch, number in touched:
        ready = await context.commits.view.get(layout.ready(account, batch))
        if ready is not None:
            context.ready_queue.give_back(account, batch, number, ready)
            context.slot_sessions.wake(ready.pool, 1)
