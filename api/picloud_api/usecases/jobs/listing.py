"""Listing: the jobs of an account, newest first, from the index of its jids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused
from picloud_model.job import State, Status
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import JobsListed, ListedJob

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_model.page import Page
    from picloud_model.wire import ListRequest

    from picloud_api.store.records import Header, Span
    from picloud_api.store.view import View

LOOKED_AT: Final = 100_000
"""Most jobs one request looks at: who filters for something rare reads on where it stopped."""


class ListJobs:
    """Lists jobs. Those deleted are left out."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def list(self, account: str, request: ListRequest) -> JobsListed:
        """Some jobs, newest first.

        Raises:
            RequestRefused: When a status is none of those there are.
        """
        states = _states(request.statuses)
        upper = await self._view.fresh(layout.next_jid(account)) or 1
        top = min(request.before or upper, upper) - 1
        looked = 0
        jobs: list[ListedJob] = []
        async for span in self._spans(account, top):
            header: Header = await self._view.get(layout.header(account, span.batch))
            if request.created_since is not None and header.created_at < request.created_since:
                return JobsListed(jobs=jobs)
            if request.label is not None and header.options.label != request.label:
                looked += 1
                continue
            last = min(span.last, top)
            for number in range((last - span.first) // PAGE_JOBS, -1, -1):
                page = await self._view.fresh(
                    layout.page(layout.PageId(account, span.batch, number))
                )
                base = span.first + number * PAGE_JOBS
                for index in range(min(len(page) - 1, last - base), -1, -1):
                    if not page.flags[index] & Flag.DELETED and page.state[index] in states:
                        jobs.append(_listed(base + index, page, index, header))
                        if len(jobs) == request.limit:
                            return JobsListed(jobs=jobs, more=_more(base + index))
                looked += len(page)
                if looked > LOOKED_AT:
                    return JobsListed(jobs=jobs, more=_more(base))
        return JobsListed(jobs=jobs)

    async def _spans(self, account: str, top: int) -> AsyncIterator[Span]:
        """The batches with jids up to `top`, the newest first."""
        jid = top
        known: dict[str, list[Span]] = {}
        while jid >= 1:
            found: Span | None = None
            for name in (layout.block(account, jid), layout.wide_block(account, jid)):
                if name not in known:
                    known[name] = await self._view.fresh(name) or []
                for span in known[name]:
                    if span.first <= jid and (found is None or span.first > found.first):
                        found = span
            if found is None:
                # Nothing of this narrow block, nor of the wide one, lies below.
                jid = jid // layout.BLOCK * layout.BLOCK - 1
                continue
            yield found
            jid = found.first - 1


def _listed(jid: int, page: Page, index: int, header: Header) -> ListedJob:
    return ListedJob(
        jid=jid,
        status=page.shown(index).value,
        function_name=header.function_name,
        label=header.options.label,
        created_at=header.created_at,
        started_at=page.started[index],
        finished_at=page.finished[index],
    )


def _more(jid: int) -> int | None:
    return jid if jid > 1 else None


def _states(statuses: list[str]) -> bytes:
    """The states that are shown as one of these; no status is every one."""
    known = [status.value for status in Status]
    for status in statuses:
        if status not in known:
            message = f"There is no status {status[:40]!r}; there are {', '.join(known)}."
            raise RequestRefused(message, field="statuses")
    return bytes(state for state in State if not statuses or state.shown.value in statuses)
