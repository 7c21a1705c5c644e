"""Recent pages: newest first, down to a time or a jid, wherever they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.engine.jobs.recent_pages import RecentPages

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.finished_jobs import run_printing, seal_all

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def _bases(recent: RecentPages, top: int, since_at: float = 0.0, above: int = 0) -> list[int]:
    found = recent.places(ACCOUNT, top, since_at, above)
    return [place.base async for places in found for place in places]


async def test_pages_are_yielded_newest_first(api: ApiHarness) -> None:
    """Those up to a jid, of batches that are new enough and above another jid."""
    await api.submit(2001)
    api.now += 10
    await api.submit(1)
    await api.submit(1)
    recent = RecentPages(api.server.context)

    assert await _bases(recent, 2003) == [2003, 2002, 2001, 1001, 1]
    assert await _bases(recent, 1500) == [1001, 1]
    assert await _bases(recent, 2003, above=2002) == [2003]
    assert await _bases(recent, 2003, since_at=api.now) == [2003, 2002]


async def test_pages_are_found_where_they_are(api: ApiHarness) -> None:
    """In the state store or sealed; what is in memory is not read again if that is wanted."""
    await run_printing(api, 3)
    await seal_all(api)
    await api.submit(2)
    context = api.server.context
    found = RecentPages(context).places(ACCOUNT, 5)
    page_ids = [place.page_id async for places in found for place in places]

    pages = await RecentPages(context).pages(page_ids)

    assert [len(page or ()) for page in pages] == [2, 3]
    api.state.reads.clear()
    await RecentPages(context, cached=True).pages(page_ids[:1])
    assert api.state.reads == []
