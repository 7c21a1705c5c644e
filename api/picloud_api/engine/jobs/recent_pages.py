"""Recent pages: the pages of an account's jobs, newest first, as accounting reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.page import PAGE_JOBS

from picloud_api.engine.jobs.locate import spans_before
from picloud_api.store import layout
from picloud_api.store.layout import PageId
from picloud_api.store.records import Header

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from picloud_model.page import Page

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Span

_AT_ONCE: Final = 64
"""Headers, and pages, that are read together."""
_UNSEALED_AT_ONCE: Final = 16
"""Blobs that are read together."""


class PagePlace(msgspec.Struct, frozen=True):
    """One page: of which batch, and its first jid."""

    page_id: PageId
    header: Header
    base: int


class RecentPages:
    """Reads pages; not into the view, which would keep every one of them in memory.

    Args:
        context: The store and the archive.
        cached: Whether to use what is in the view, which events of other processes keep up.
    """

    def __init__(self, context: Context, *, cached: bool = False) -> None:
        self._view = context.commits.view
        self._archive = context.archive
        self._cached = cached

    async def places(
        self, account: str, top: int, since_at: float = 0.0, above: int = 0
    ) -> AsyncIterator[list[PagePlace]]:
        """Yield the places of the pages with jids up to `top`, newest first.

        Args:
            account: The account.
            top: The last jid.
            since_at: When the oldest batch was created whose pages are wanted.
            above: The last jid of the newest batch whose pages are not wanted.
        """
        places: list[PagePlace] = []
        async for spans in _grouped(spans_before(self._view, account, top), above):
            for each, header in zip(spans, await self._headers(account, spans), strict=True):
                if header.created_at < since_at:
                    if places:
                        yield places
                    return
                for number in range((min(each.last, top) - each.first) // PAGE_JOBS, -1, -1):
                    page_id = PageId(account, each.batch, number)
                    places.append(PagePlace(page_id, header, each.first + number * PAGE_JOBS))
                    if len(places) == _AT_ONCE:
                        yield places
                        places = []
        if places:
            yield places

    async def pages(self, page_ids: Sequence[PageId]) -> list[Page | None]:
        """Return pages from the state store, or else from the archive."""
        found = await self._values([layout.page(page_id) for page_id in page_ids])
        sealed = [page_id for page_id in page_ids if layout.page(page_id) not in found]
        for start in range(0, len(sealed), _UNSEALED_AT_ONCE):
            some = sealed[start : start + _UNSEALED_AT_ONCE]
            for entries in await asyncio.gather(*map(self._archive.entries, some)):
                found |= {
                    name: layout.decode(name, data)
                    for name, data in entries.items()
                    if layout.is_page(name)
                }
        return [found.get(layout.page(page_id)) for page_id in page_ids]

    async def _headers(self, account: str, spans: Sequence[Span]) -> list[Header]:
        names = [layout.header(account, span.batch) for span in spans]
        found = await self._values(names)
        return [found[name] for name in names]

    async def _values(self, names: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._cached:
            found = {name: value for name in names if (value := self._view.peek(name)) is not None}
        if missing := [name for name in names if name not in found]:
            entries = await self._view.state.get(missing)
            found |= {name: layout.decode(name, entry.value) for name, entry in entries.items()}
        return found


async def _grouped(spans: AsyncIterator[Span], above: int) -> AsyncIterator[list[Span]]:
    group: list[Span] = []
    async for span in spans:
        if span.first <= above:
            break
        group.append(span)
        if len(group) == _AT_ONCE:
            yield group
            group = []
    if group:
        yield group
