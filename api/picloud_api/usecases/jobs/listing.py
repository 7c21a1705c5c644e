"""Listing: an account's jobs and batches, newest first, found through the index of its jids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestRefused
from picloud_model.job import State, Status
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import BatchesListed, JobsListed, ListedBatch, ListedJob

from picloud_api.engine.jobs.locate import no_such_job, spans_before
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from picloud_model.page import Page
    from picloud_model.wire import BatchesRequest, ListRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.records import Header, Span
    from picloud_api.store.view import View

READ_JOBS: Final = 100_000
"""The most jobs that one request reads; with a rare filter the client continues after them."""
_PAGES_AT_ONCE: Final = 64
"""How many pages of a batch are read together."""


class ListJobs:
    """Lists the jobs and batches of an account, except deleted ones."""

    def __init__(self, context: Context) -> None:
        self._view: View = context.commits.view
        self._sessions = context.slot_sessions
        self._turns = context.turns
        self._changes = context.account_changes

    def stamp(self, account: str) -> str:
        """Return a text that differs from earlier ones if the lists of an account may differ.

        It costs no read, so a page that shows a list can ask often.
        """
        return self._changes.stamp(account)

    async def list(self, account: str, request: ListRequest) -> JobsListed:
        """Return some jobs, newest first.

        Raises:
            RequestRefused: When a status does not exist.
        """
        async with self._turns.of(account) as turn:
            return await self._list(account, request, turn)

    async def _list(self, account: str, request: ListRequest, turn: Turn) -> JobsListed:
        states = _states(request.statuses)
        next_jid = await self._view.fresh(layout.next_jid(account)) or 1
        top = min(request.before or next_jid, next_jid) - 1
        read = 0
        jobs: list[ListedJob] = []
        async for span in spans_before(self._view, account, top):
            header: Header = await self._view.get(layout.header(account, span.batch))
            if request.created_since is not None and header.created_at < request.created_since:
                break
            if request.label is not None and header.options.label != request.label:
                read += 1
                continue
            async for base, page in self._pages(account, span, top):
                for index in _matching(page, states, top - base):
                    jobs.append(_listed(base + index, page, index, header))
                    if len(jobs) == request.limit:
                        return JobsListed(jobs=jobs, more=_more(base + index))
                read += len(page)
                if read > READ_JOBS:
                    return JobsListed(jobs=jobs, more=_more(base))
                await turn.pause()
        return JobsListed(jobs=jobs)

    async def batches(self, account: str, request: BatchesRequest) -> BatchesListed:
        """Return some batches, newest first, each with counts of its jobs by status.

        Raises:
            RequestRefused: When a status does not exist.
        """
        async with self._turns.of(account) as turn:
            return await self._batches(account, request, turn)

    async def _batches(self, account: str, request: BatchesRequest, turn: Turn) -> BatchesListed:
        states = _states(request.statuses)
        next_jid = await self._view.fresh(layout.next_jid(account)) or 1
        before = min(request.before or next_jid, next_jid)
        slots = self._sessions.of_account(account)
        read = 0
        batches: list[ListedBatch] = []
        async for span in spans_before(self._view, account, before - 1):
            if span.last >= before:
                continue
            header: Header = await self._view.get(layout.header(account, span.batch))
            if request.created_since is not None and header.created_at < request.created_since:
                break
            read += 1
            if _is_requested(header, request):
                tally = await self._tally(account, span, turn)
                read += span.count
                if tally.has_any(states):
                    batches.append(tally.listed(span, header))
            await turn.pause()
            if len(batches) == request.limit or read > READ_JOBS:
                return BatchesListed(batches=batches, more=_more(span.first), slots=slots)
        return BatchesListed(batches=batches, slots=slots)

    async def batch(self, account: str, jid: int) -> ListedBatch:
        """Return the batch that a job belongs to, with counts of its jobs by status.

        Raises:
            JobNotFound: When the account has no such job.
        """
        next_jid = await self._view.fresh(layout.next_jid(account)) or 1
        async with self._turns.of(account) as turn:
            async for span in spans_before(self._view, account, jid if jid < next_jid else 0):
                if span.last < jid:
                    break
                header: Header = await self._view.get(layout.header(account, span.batch))
                return (await self._tally(account, span, turn)).listed(span, header)
        raise no_such_job(jid)

    async def _tally(self, account: str, span: Span, turn: Turn) -> _Tally:
        """Count the jobs of a batch by state; its pages are read many at once."""
        pages = -(-span.count // PAGE_JOBS)
        names = [layout.page(layout.PageId(account, span.batch, each)) for each in range(pages)]
        tally = _Tally()
        for start in range(0, pages, _PAGES_AT_ONCE):
            portion = names[start : start + _PAGES_AT_ONCE]
            await self._view.refresh(portion)
            for name in portion:
                tally.add(await self._view.get(name))
                await turn.pause()
        return tally

    async def _pages(self, account: str, span: Span, top: int) -> AsyncIterator[tuple[int, Page]]:
        """Yield a batch's pages with jids up to `top`, newest first, each with its first jid."""
        for number in range((min(span.last, top) - span.first) // PAGE_JOBS, -1, -1):
            name = layout.page(layout.PageId(account, span.batch, number))
            yield span.first + number * PAGE_JOBS, await self._view.fresh(name)


class _Tally(msgspec.Struct):
    """The jobs of one batch that are not deleted, counted by state."""

    counts: dict[State, int] = {}
    started_at: float = 0.0
    finished_at: float = 0.0

    def add(self, page: Page) -> None:
        """Count the jobs of a page."""
        states = page.state
        deleted = [index for index, flags in enumerate(page.flags) if flags & Flag.DELETED]
        if deleted:
            states = states[:]
            for index in reversed(deleted):
                del states[index]
        for state in State:
            if count := states.count(state):
                self.counts[state] = self.counts.get(state, 0) + count
        if started := min(filter(None, page.started), default=0.0):
            self.started_at = min(self.started_at or started, started)
        self.finished_at = max(self.finished_at, *page.finished)

    def has_any(self, states: bytes) -> bool:
        """Whether a job is in one of these states."""
        return any(state in states for state in self.counts)

    def listed(self, span: Span, header: Header) -> ListedBatch:
        """Return the batch as a list shows it."""
        statuses: dict[str, int] = {}
        for state, count in self.counts.items():
            statuses[state.shown.value] = statuses.get(state.shown.value, 0) + count
        return ListedBatch(
            first=span.first,
            count=span.count,
            function_name=header.function_name,
            label=header.options.label,
            created_at=header.created_at,
            statuses=statuses,
            started_at=self.started_at,
            finished_at=self.finished_at if all(state.final for state in self.counts) else 0.0,
        )


def _is_requested(header: Header, request: BatchesRequest) -> bool:
    wanted = (
        (request.label, header.options.label),
        (request.function, header.function_name),
        (request.env, header.options.env or ""),
        (request.parent, str(header.parent or "")),
    )
    if not all(value in (None, present) for value, present in wanted):
        return False
    if request.text is None:
        return True
    searched = f"{header.function_name}\n{header.options.label or ''}"
    return request.text.casefold() in searched.casefold()


def _matching(page: Page, states: bytes, last: int) -> Iterator[int]:
    """Yield the indexes up to `last` of jobs in these states that are not deleted, newest first."""
    for index in range(min(len(page) - 1, last), -1, -1):
        if not page.flags[index] & Flag.DELETED and page.state[index] in states:
            yield index


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
    """Return the states that are shown as one of these statuses; without any, all states."""
    values = [status.value for status in Status]
    for status in statuses:
        if status not in values:
            message = f"There is no status {status[:40]!r}; there are {', '.join(values)}."
            raise RequestRefused(message, field="statuses")
    return bytes(state for state in State if not statuses or state.shown.value in statuses)
