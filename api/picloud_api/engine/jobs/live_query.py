"""Live queries: what a slot knows about a running job, requested only when a client asks.

A query travels with the response to the slot's heartbeat, its answer with the next heartbeat. If
the slot talks with another process than the client, query and answer are stored under a key of the
state store for a moment, and events announce them.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import RequestRefused
from picloud_model.page import PAGE_JOBS
from picloud_model.wire import AttemptRef, Info, LiveQuery, Stream, pack_info, unpack_info

from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, StoredQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.page import Page
    from picloud_model.wire import LiveAnswer, TunnelOrder

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

PATIENCE_S: Final = 3.0
"""How long a slot may take to answer."""
FRESH_S: Final = 1.0
"""An answer younger than this is returned for the same query again."""
STALE_S: Final = 60.0
"""A stored query older than this is removed by the process that reads it."""
STREAM_BYTES: Final = 64 * 1024
"""How much of the end of each stream travels through the state store."""
REMEMBERED: Final = 64
"""Answers that are kept."""
SLOTS: Final = 10_000
"""Slots whose last heartbeat is remembered, about."""


class _PendingQuery:
    """One query to a slot, and the future of its answer."""

    def __init__(self, slot: int, query: LiveQuery) -> None:
        self.slot = slot
        self.query = query
        self.answer: asyncio.Future[Info | None] = asyncio.get_running_loop().create_future()


class LiveQueries:
    """Sends queries to slots and collects the answers."""

    def __init__(self, context: Context, patience_s: float = PATIENCE_S) -> None:
        self._context = context
        self._patience_s = patience_s
        self._commits = context.commits
        self._clock = context.clock
        self._numbers = count(1)
        self._unsent: dict[int, list[_PendingQuery]] = {}
        self._open: dict[int, _PendingQuery] = {}
        self._answers: dict[AttemptRef, tuple[float, Info]] = {}
        self._heartbeats: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def info(
        self,
        account: str,
        job: AttemptRef,
        slot: int,
        since: Mapping[str, int],
        tunnel: TunnelOrder | None = None,
    ) -> Info | None:
        """Return what a slot knows about a job, no older than a second; None if it does not answer.

        Args:
            account: The owner of the job.
            job: The attempt.
            slot: The slot that holds it.
            since: How many bytes of each stream the client has: only what follows is returned.
            tunnel: A stream that the slot is to open, if there is one.
        """
        at, cached = self._answers.get(job, (0.0, None))
        is_plain = not since and tunnel is None
        if cached is not None and is_plain and self._clock() - at < FRESH_S:
            return cached
        query = LiveQuery(next(self._numbers), job, dict(since), tunnel)
        if self._commits.alone or self._serves(slot):
            return await self._query(slot, query)
        return await self._query_elsewhere(account, slot, query)

    def _serves(self, slot: int) -> bool:
        """Whether the heartbeats of a slot reach this process."""
        return self._clock() - self._heartbeats.get(slot, 0.0) < 2 * self._patience_s

    async def _query(self, slot: int, query: LiveQuery) -> Info | None:
        pending = _PendingQuery(slot, query)
        self._open[pending.query.number] = pending
        self._unsent.setdefault(slot, []).append(pending)
        session = self._context.slot_sessions.get(slot)
        if session is not None:
            session.heartbeat_wakeup.set()
        try:
            async with asyncio.timeout(self._patience_s):
                return await pending.answer
        except TimeoutError:
            return None
        finally:
            del self._open[pending.query.number]
            unsent = self._unsent.get(slot, [])
            if pending in unsent:
                unsent.remove(pending)
            if not unsent:
                self._unsent.pop(slot, None)

    def take_queries(self, slot: int) -> list[LiveQuery]:
        """Take the queries that wait for this slot's heartbeat."""
        self._heartbeats[slot] = self._clock()
        if len(self._heartbeats) > SLOTS:
            self._heartbeats = {
                slot: at for slot, at in self._heartbeats.items() if self._serves(slot)
            }
        return [pending.query for pending in self._unsent.pop(slot, [])]

    def receive_answers(self, slot: int, answers: Sequence[LiveAnswer]) -> None:
        """Receive the answers of a slot. Answers to queries to other slots are ignored."""
        for answer in answers:
            pending = self._open.get(answer.number)
            if pending is None or pending.slot != slot or pending.answer.done():
                continue
            self._settle(pending, answer.info)

    def _settle(self, pending: _PendingQuery, data: bytes) -> None:
        try:
            info = unpack_info(data) if data else None
        except RequestRefused:
            info = None
        if info is not None and not pending.query.since:
            if len(self._answers) > REMEMBERED:
                self._answers.clear()
            self._answers[pending.query.job] = (self._clock(), info)
        pending.answer.set_result(info)

    async def _query_elsewhere(self, account: str, slot: int, query: LiveQuery) -> Info | None:
        """Store a query for the process that the slot talks with, and wait for its answer."""
        batch = query.job.batch
        name = layout.query(account, batch, query.number, self._commits.process)
        stored_query = StoredQuery(
            job=query.job,
            slot=slot,
            since=query.since,
            asked_at=self._clock(),
            tunnel=query.tunnel,
        )
        deadline = self._clock() + self._patience_s

        async def plan(draft: Draft) -> None:
            draft.create(name, stored_query)
            draft.emit(Event(EventKind.QUERIED, account, batch))

        try:
            await self._commits.run(plan)
            with self._context.batch_watchers.watch({batch}) as watch:
                while (remaining_s := deadline - self._clock()) > 0:
                    watch.changed()
                    stored: StoredQuery | None = await self._commits.view.fresh(name)
                    if stored is not None and stored.answer is not None:
                        return unpack_info(stored.answer) if stored.answer else None
                    await watch.wait_for_change(remaining_s)
        finally:
            await self._commits.remove([name])
        return None

    def on_event(self, event: Event) -> None:
        """Act on a query or an answer that was stored, here or by another process."""
        if event.kind is EventKind.ANSWERED:
            self._context.batch_watchers.wake(event.batch)
        elif event.kind is EventKind.QUERIED:
            task = asyncio.create_task(self._answer_stored(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer_stored(self, event: Event) -> None:
        queries = await self._commits.view.scan(layout.query(event.account, event.batch))
        now = self._clock()
        stale = [name for name, each in queries.items() if now - each.asked_at > STALE_S]
        await self._commits.remove(stale)
        await asyncio.gather(
            *(
                self._answer(event, name, query)
                for name, query in queries.items()
                if query.answer is None and name not in stale and self._serves(query.slot)
            )
        )

    async def _answer(self, event: Event, name: str, query: StoredQuery) -> None:
        asked = LiveQuery(next(self._numbers), query.job, query.since, query.tunnel)
        info = await self._query(query.slot, asked)
        answer = pack_info(_shortened(info)) if info is not None else b""

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is not None:
                draft.put(name, msgspec.structs.replace(query, answer=answer))
                draft.emit(Event(EventKind.ANSWERED, event.account, event.batch))

        self._commits.view.forget([name])
        await self._commits.run(plan)

    async def stop(self) -> None:
        """Cancel the answers to stored queries."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def held_at(batch: str, number: int, page: Page, index: int) -> AttemptRef:
    """Return the current attempt of the job at an index of a page."""
    return AttemptRef(batch, number * PAGE_JOBS + index, page.attempt[index])


def _shortened(info: Info) -> Info:
    streams = {name: _end(stream) for name, stream in info.streams.items()}
    return msgspec.structs.replace(info, streams=streams)


def _end(stream: Stream) -> Stream:
    if len(stream.data) <= STREAM_BYTES:
        return stream
    cut = len(stream.data) - STREAM_BYTES
    return Stream(stream.start + cut, stream.data[cut:])
