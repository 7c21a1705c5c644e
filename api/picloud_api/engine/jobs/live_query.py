"""Live queries: what a slot knows about a running job, requested only when a client asks.

The question travels with the answer to the slot's heartbeat, what it tells with the next one. The
process that is asked may not be the one the slot talks with: then the question and its answer lie
under a key of the state store for a moment, and bells announce them.
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
    from picloud_model.wire import LiveAnswer

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

PATIENCE_S: Final = 3.0
"""How long a slot may take to tell."""
FRESH_S: Final = 1.0
"""What was told so lately is told again to others who ask."""
STALE_S: Final = 60.0
"""A question so old is taken away by whoever sees it."""
STREAM_BYTES: Final = 64 * 1024
"""The end of each stream that travels through the state store."""
REMEMBERED: Final = 64
"""Answers kept for others who ask."""
SLOTS: Final = 10_000
"""Slots whose last heartbeat is remembered."""


class _Question:
    """One question to a slot, and who waits for the answer."""

    def __init__(self, number: int, slot: int, job: AttemptRef, since: Mapping[str, int]) -> None:
        self.slot = slot
        self.asked = LiveQuery(number, job, dict(since))
        self.answer: asyncio.Future[Info | None] = asyncio.get_running_loop().create_future()


class LiveQueries:
    """Asks slots about the jobs they run."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._sessions = context.slot_sessions
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._numbers = count(1)
        self._unsent: dict[int, list[_Question]] = {}
        self._open: dict[int, _Question] = {}
        self._known: dict[AttemptRef, tuple[float, Info]] = {}
        self._beats: dict[int, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def info(
        self, account: str, job: AttemptRef, slot: int, since: Mapping[str, int]
    ) -> Info | None:
        """What a slot says of a job it runs, no older than a second; None when it says nothing.

        Args:
            account: Whose job.
            job: Which.
            slot: Who runs it, as far as is known.
            since: How many bytes of streams are known; then only what follows is told.
        """
        at, known = self._known.get(job, (0.0, None))
        if known is not None and not since and self._clock() - at < FRESH_S:
            return known
        if self._commits.alone or self._hears(slot):
            return await self._ask(job, slot, since)
        return await self._ask_others(account, job, slot, since)

    def _hears(self, slot: int) -> bool:
        """Whether this process is the one that a slot's heartbeats reach."""
        return self._clock() - self._beats.get(slot, 0.0) < 2 * PATIENCE_S

    async def _ask(self, job: AttemptRef, slot: int, since: Mapping[str, int]) -> Info | None:
        question = _Question(next(self._numbers), slot, job, since)
        self._open[question.asked.number] = question
        self._unsent.setdefault(slot, []).append(question)
        session = self._sessions.get(slot)
        if session is not None:
            session.heartbeat_wakeup.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await question.answer
        except TimeoutError:
            return None
        finally:
            del self._open[question.asked.number]
            waiting = self._unsent.get(slot, [])
            if question in waiting:
                waiting.remove(question)
            if not waiting:
                self._unsent.pop(slot, None)

    def take_queries(self, slot: int) -> list[LiveQuery]:
        """What a slot is to be asked, now that it is here."""
        self._beats[slot] = self._clock()
        if len(self._beats) > SLOTS:
            self._beats = {slot: at for slot, at in self._beats.items() if self._hears(slot)}
        return [question.asked for question in self._unsent.pop(slot, [])]

    def receive_answers(self, slot: int, told: Sequence[LiveAnswer]) -> None:
        """A slot tells what it was asked; what another slot was asked is not its to tell."""
        for each in told:
            question = self._open.get(each.number)
            if question is None or question.slot != slot or question.answer.done():
                continue
            self._settle(question, each.info)

    def _settle(self, question: _Question, data: bytes) -> None:
        try:
            info = unpack_info(data) if data else None
        except RequestRefused:
            info = None
        if info is not None and not question.asked.since:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            self._known[question.asked.job] = (self._clock(), info)
        question.answer.set_result(info)

    async def _ask_others(
        self, account: str, job: AttemptRef, slot: int, since: Mapping[str, int]
    ) -> Info | None:
        """Leave the question where the process finds it that the slot talks with."""
        name = layout.query(account, job.batch, next(self._numbers), self._commits.process)
        question = StoredQuery(job=job, slot=slot, since=dict(since), asked_at=self._clock())
        deadline = self._clock() + PATIENCE_S

        async def plan(draft: Draft) -> None:
            draft.create(name, question)
            draft.emit(Event(EventKind.QUERIED, account, job.batch))

        try:
            await self._commits.run(plan)
            with self._watchers.watch({job.batch}) as watch:
                while (left := deadline - self._clock()) > 0:
                    watch.changed()
                    found: StoredQuery | None = await self._commits.view.fresh(name)
                    if found is not None and found.answer is not None:
                        return unpack_info(found.answer) if found.answer else None
                    await watch.wait_for_change(left)
        finally:
            await self._commits.remove([name])
        return None

    def on_event(self, event: Event) -> None:
        """Something was asked or told, here or by another process."""
        if event.kind is EventKind.ANSWERED:
            self._watchers.wake(event.batch)
        elif event.kind is EventKind.QUERIED:
            task = asyncio.create_task(self._answer_others(event))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer_others(self, event: Event) -> None:
        questions = await self._commits.view.scan(layout.query(event.account, event.batch))
        now = self._clock()
        stale = [name for name, each in questions.items() if now - each.asked_at > STALE_S]
        await self._commits.remove(stale)
        await asyncio.gather(
            *(
                self._answer(event, name, question)
                for name, question in questions.items()
                if question.answer is None and name not in stale and self._hears(question.slot)
            )
        )

    async def _answer(self, event: Event, name: str, question: StoredQuery) -> None:
        info = await self._ask(question.job, question.slot, question.since)
        told = pack_info(_shortened(info)) if info is not None else b""

        async def plan(draft: Draft) -> None:
            if await draft.get(name) is not None:
                draft.put(name, msgspec.structs.replace(question, answer=told))
                draft.emit(Event(EventKind.ANSWERED, event.account, event.batch))

        self._commits.view.forget([name])
        await self._commits.run(plan)

    async def stop(self) -> None:
        """Answer nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def held_at(batch: str, number: int, page: Page, index: int) -> AttemptRef:
    """The job at an index of a page, as slots name it."""
    return AttemptRef(batch, number * PAGE_JOBS + index, page.attempt[index])


def _shortened(info: Info) -> Info:
    streams = {name: _end(stream) for name, stream in info.streams.items()}
    return msgspec.structs.replace(info, streams=streams)


def _end(stream: Stream) -> Stream:
    if len(stream.data) <= STREAM_BYTES:
        return stream
    cut = len(stream.data) - STREAM_BYTES
    return Stream(stream.start + cut, stream.data[cut:])
