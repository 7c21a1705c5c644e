"""Submit: stores a batch and makes it visible with its jids in one transaction."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from msgspec.structs import replace
from picloud_model.crashpoints import crashpoint
from picloud_model.errors import BlobMissing, PiCloudError, RequestRefused, SubmitChanged
from picloud_model.job import State
from picloud_model.page import fresh_pages, pages_for
from picloud_model.wire import Content, PackPart, Submitted

from picloud_api.engine.jobs.memo import reused
from picloud_api.engine.process.bulk_change import BulkChange
from picloud_api.engine.process.ready_queue import ReadyBatch
from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.store import layout
from picloud_api.store.records import BatchId, Event, EventKind, Header, Ready, Span, Staged
from picloud_api.usecases.accounts.quota import Amount, size_of
from picloud_api.usecases.jobs import admission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_model.page import Page
    from picloud_model.wire import StageRequest, SubmitRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.leasing import LeasePlanner
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Waiting
    from picloud_api.usecases.accounts.quota import AccountQuota
    from picloud_api.usecases.environments.environment_choice import EnvironmentChoice
    from picloud_api.usecases.jobs.admission import JobSite
    from picloud_api.usecases.storage.known_blobs import KnownBlobs

    Announcement = Callable[[Draft], Awaitable[tuple[Submitted, int]]]

_MOST: Final = 16
"""Pages that are stored in one transaction ahead of a large submit."""
_FEW: Final = 4
"""How many of them are while others commit, too."""
_RANGE_BYTES: Final = 40
"""The most bytes that a range of jids takes in the state store."""


class SubmitJobs:
    """Accepts batches. All of a batch is stored before other processes can see it."""

    def __init__(
        self,
        context: Context,
        leasing: LeasePlanner,
        known_blobs: KnownBlobs,
        quota: AccountQuota,
        environments: EnvironmentChoice,
        *,
        site: JobSite,
    ) -> None:
        self._quota = quota
        self._environments = environments
        self._turns = context.turns
        self._storing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._commits = context.commits
        self._site = site
        self._leasing = leasing
        self._known_blobs = known_blobs
        self._clock = context.clock

    async def stage(self, account: str, request: StageRequest) -> None:
        """Store packs of a large map ahead of its submit.

        Raises:
            RequestRefused: When packs are not as declared.
            BlobMissing: When it names blobs that are not stored.
            AccountBusy: When the account has too many bytes of unfinished jobs.
            BudgetReached: When it is sent for jobs for which nothing is left of a budget.
        """
        admission.check_packs(request.parts)
        await self._check_blobs(account, [part.content for part in request.parts])
        amount = Amount(stored_bytes=size_of(request.parts))
        async with self._quota.admit(account, amount, request.jobs):
            await self._stage(account, request)

    async def _stage(self, account: str, request: StageRequest) -> None:
        await self._mark(account, request.submit_id)
        await self._write_packs(account, request.submit_id, request.parts)
        name, now = layout.staged(account, request.submit_id), self._clock()

        async def plan(draft: Draft) -> None:
            staged: Staged = await draft.get(name) or Staged([], now)
            firsts = {part.first for part in staged.parts}
            added = [_without_data(part) for part in request.parts if part.first not in firsts]
            draft.put(name, Staged([*staged.parts, *added], now))

        await self._commits.run(plan)

    async def _mark(self, account: str, batch: str) -> None:
        """Record that a submit is stored ahead, so that it is deleted if it never comes."""
        name, now = layout.staged(account, batch), self._clock()
        if self._commits.view.peek(name) is not None:
            return

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is None:
                draft.put(name, Staged([], now))

        await self._commits.run(plan)

    async def submit(
        self,
        account: str,
        request: SubmitRequest,
        fingerprint: bytes,
        *,
        parent: int | str = 0,
        commit: Callable[[Announcement], Awaitable[tuple[Submitted, int]]] | None = None,
    ) -> Submitted:
        """Create a batch, or return the one that an earlier, identical request created.

        Args:
            account: The account that will own the jobs.
            request: The batch.
            fingerprint: A digest of the request's content.
            parent: What makes the request: a job, a cron job or an endpoint; 0 for a client.
            commit: Commits the change that creates the batch, in place of `Commits.run`.

        Raises:
            RequestRefused: When options, counts or packs do not fit each other.
            BlobMissing: When it names blobs that are not stored; nothing was created.
            SubmitChanged: When another request had the same submit id.
            KeyReused: When its key names a batch with other arguments.
            AccountBusy: When the account would have too many unfinished jobs.
            BudgetReached: When nothing is left of a budget.
        """
        if parent and isinstance(parent, int):
            request = await self._environments.inherit(account, request, parent)
        image = await self.check(account, request)
        inline = self._fits_one_transaction(request)
        name = layout.header(account, request.submit_id)
        view = self._commits.view
        # A single transaction detects a repeated request itself; a read before it costs a request.
        earlier: Header | None = view.peek(name) if inline else await view.get(name)
        if earlier is not None:
            return _repeated(earlier, fingerprint)
        amount = Amount(jobs=request.count, batches=1, stored_bytes=size_of(request.parts))
        try:
            async with self._quota.admit(account, amount, request.options) as notice:
                header = _header(request, self._clock(), fingerprint, parent, image)
                plan = await self._store(account, request, header, inline=inline)
                answer, leased = await (commit or self._commits.run)(plan)
                if leased:
                    # Let the slots that got a lease be answered first: they have more to do next.
                    await asyncio.sleep(0)
                crashpoint("submit.announced")
                return replace(answer, notice=notice) if notice else answer
        except PiCloudError:
            # The first request of this id may have had the last room, or the rest of a budget.
            if (earlier := await view.fresh(name)) is not None:
                return _repeated(earlier, fingerprint)
            raise

    async def check_call(self, account: str, request: SubmitRequest, what: str) -> None:
        """Check a call that is kept, to be submitted later, once or many times.

        Args:
            account: The account that will own its jobs.
            request: The call.
            what: What it is for, as an error begins.

        Raises:
            RequestRefused: When it is not a single call without dependencies, or as for `check`.
            BlobMissing: As for `check`.
        """
        single = request.kind == "call" and request.count == 1 and request.parts
        if not single or request.depends_on:
            raise RequestRefused(f"{what} is one call without dependencies.", field="job")
        await self.check(account, request)

    async def check(self, account: str, request: SubmitRequest) -> str:
        """Check a batch, and that the blobs that it names are stored.

        Returns:
            The image of its environment; "" for the base.

        Raises:
            RequestRefused: When options or packs do not fit each other.
            BlobMissing: When it names blobs that are not stored.
        """
        view, options = self._commits.view, request.options
        await admission.admit_options(view, account, options, self._site)
        async with self._turns.of(account):
            admission.check_packs(request.parts)
        await self._check_blobs(account, admission.contents_of(request), request.bundle)
        env, python = request.options.env, request.envelope.python
        return await self._environments.image_of(account, env, python)

    async def _store(
        self, account: str, request: SubmitRequest, header: Header, *, inline: bool
    ) -> Announcement:
        """Store a batch that is new; return the change that makes it visible."""
        view = self._commits.view
        async with self._turns.of(account):
            parts = [_without_data(part) for part in request.parts]
        if not inline:
            parts = await self._with_staged(account, request.submit_id, parts)
        admission.check_cover(parts, request.count)
        waiting = await admission.waiting_of(view, account, request, self._turns.of(account))
        crashpoint("submit.checked")
        if not inline:
            # One after the other: each takes many transactions.
            storing = self._storing.setdefault(account, asyncio.Lock())
            async with storing:
                await self.store_ahead(account, request)
            # That may have taken long: what it refers to must not have been deleted meanwhile.
            await self._check_blobs(account, admission.contents_of(request), request.bundle)
        crashpoint("submit.stored")
        header = replace(header, parts=parts, depends_on=admission.named(waiting))
        return partial(
            self._announce,
            account=account,
            request=request,
            header=header,
            waiting=waiting,
            inline=inline,
        )

    async def _with_staged(self, account: str, batch: str, parts: list[PackPart]) -> list[PackPart]:
        staged: Staged | None = await self._commits.view.fresh(layout.staged(account, batch))
        return sorted([*(staged.parts if staged else []), *parts], key=lambda part: part.first)

    def _fits_one_transaction(self, request: SubmitRequest) -> bool:
        """Whether nothing was staged and all fits into the transaction that each submit commits."""
        size = sum(len(part.content.data or b"") for part in request.parts)
        size += _RANGE_BYTES * len(request.depends_on)
        keys = pages_for(request.count) + len(request.parts)
        whole = sum(part.count for part in request.parts) == request.count
        state = self._commits.view.state
        return whole and size <= state.max_bytes // 2 and keys <= state.max_operations // 2

    async def store_ahead(self, account: str, request: SubmitRequest) -> None:
        """Store what does not fit into the transaction that makes the batch visible."""
        await self._mark(account, request.submit_id)
        pages = _fresh_pages(request)
        await self._write_packs(account, request.submit_id, request.parts)
        bulk = BulkChange(self._commits, self._turns, least=_FEW, most=_MOST, first=_MOST)

        async def change(numbers: Sequence[int]) -> None:
            async def plan(draft: Draft) -> None:
                for number in numbers:
                    name = layout.page(layout.PageId(account, request.submit_id, number))
                    # A repeated request may arrive while the first one is being stored, or after
                    # its jobs have started.
                    if draft.peek(name) is None:
                        draft.create(name, pages[number])

            async with self._turns.of(account):
                await self._commits.run(plan)

        await bulk.through(range(len(pages)), change)

    async def _announce(
        self,
        draft: Draft,
        *,
        account: str,
        request: SubmitRequest,
        header: Header,
        waiting: Waiting | None,
        inline: bool,
    ) -> tuple[Submitted, int]:
        """Assign jids and make the batch visible; return also how many jobs were leased at once."""
        batch = request.submit_id
        name = layout.header(account, batch)
        earlier = draft.peek(name) if inline else await draft.get(name)
        if earlier is not None:
            return _repeated(earlier, header.fingerprint), 0
        if not inline:
            await _use_staged(draft, account, request, header)
        if request.reuse is not None:
            new, missing = BatchId(account, batch), self._known_blobs.missing
            if same := await reused(draft, new, request.reuse, header.created_at, missing):
                return same, 0
        first = await draft.get(layout.next_jid(account)) or 1
        header = replace(header, first=first)
        draft.put(layout.next_jid(account), first + header.count)
        draft.create(layout.header(account, batch), header)
        span = Span(first, header.count, batch)
        for name in layout.blocks(account, span.first, span.last):
            draft.put(name, [*(await draft.get(name) or []), span])
        ready = _ready(account, header, waits=waiting is not None)
        draft.create(layout.ready(account, batch), ready)
        if waiting is not None:
            draft.create(layout.waiting(account, batch), waiting)
        leased = 0
        if inline:
            _write_inline(draft, account, request)
            if waiting is None:
                queued = ReadyBatch(account, batch, ready)
                leased = await self._leasing.plan_new(draft, queued, header)
        if leased < header.count:
            kind = EventKind.READY if waiting is None else EventKind.WAITING
            draft.emit(Event(kind, account, batch))
        return Submitted(first=first, count=header.count), leased

    async def _write_packs(self, account: str, batch: str, parts: Sequence[PackPart]) -> None:
        for part in parts:
            if part.content.data is None:
                continue
            name = layout.arguments(account, batch, part.first)

            async def plan(draft: Draft, name: str = name, data: bytes = part.content.data) -> None:
                if draft.peek(name) is None:
                    draft.create(name, data)

            await self._commits.run(plan)

    async def _check_blobs(
        self, account: str, contents: Sequence[Content], bundle: str = ""
    ) -> None:
        digests = sorted({content.digest for content in contents if content.data is None})
        if digests and (missing := await self._known_blobs.missing(account, digests, bundle)):
            raise BlobMissing(digests=tuple(missing))


async def _use_staged(draft: Draft, account: str, request: SubmitRequest, header: Header) -> None:
    """Delete the record of what was staged, which belongs to a batch from now on."""
    name = layout.staged(account, request.submit_id)
    staged: Staged | None = await draft.get(name)
    if staged is None or len(staged.parts) + len(request.parts) < len(header.parts):
        message = "What was sent ahead of the submit was deleted meanwhile; submit again."
        raise RequestRefused(message, field="parts")
    draft.delete(name)


def _repeated(earlier: Header, fingerprint: bytes) -> Submitted:
    """Return the jids of an earlier request, if this one repeats it."""
    if earlier.fingerprint != fingerprint:
        raise SubmitChanged(field="submit_id")
    return Submitted(first=earlier.first, count=earlier.count)


def _without_data(part: PackPart) -> PackPart:
    """Return the part as the header stores it: where its bytes are stored, without the bytes."""
    inline = part.content.data is not None
    content = Content("", len(part.content.data or b"")) if inline else part.content
    return PackPart(part.first, part.count, content)


def _fresh_pages(request: SubmitRequest) -> list[Page]:
    return fresh_pages(request.count, State.WAITING if request.depends_on else State.QUEUED)


def _write_inline(draft: Draft, account: str, request: SubmitRequest) -> None:
    batch = request.submit_id
    for part in request.parts:
        if part.content.data is not None:
            draft.create(layout.arguments(account, batch, part.first), part.content.data)
    for number, page in enumerate(_fresh_pages(request)):
        # A copy: the same draft may lease jobs of it at once.
        draft.create(layout.page(layout.PageId(account, batch, number)), page.copy())


def _header(
    request: SubmitRequest, now: float, fingerprint: bytes, parent: int | str, image: str
) -> Header:
    """Return the batch's header without its parts; the transaction sets its first jid."""
    return Header(
        first=0,
        count=request.count,
        kind=request.kind,
        function=request.function,
        function_name=request.function_name,
        envelope=request.envelope,
        bundle=request.bundle,
        options=request.options,
        parts=[],
        created_at=now,
        fingerprint=fingerprint,
        parent=parent,
        image=image,
    )


def _ready(account: str, header: Header, *, waits: bool) -> Ready:
    return Ready(
        first=header.first,
        count=header.count,
        priority=header.options.priority,
        pool=pool_of(account, header.options, header.image),
        open_pages=header.pages,
        waits=waits,
        parent=header.parent if isinstance(header.parent, int) else 0,
        size=size_of(header.parts),
        notifies=header.options.on_done is not None,
    )
