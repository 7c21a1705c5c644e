"""Slots: they come with a proof, live by a token, and leave their leases behind when they end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import SlotRefused
from picloud_model.job import Cause, State
from picloud_model.page import PAGE_JOBS
from picloud_model.wire import SlotGranted

from picloud_api.engine.jobs.fence import charge_loss, holds_attempt, slots_of_page
from picloud_api.engine.jobs.finish import Ending, encode_failure, finish, killed
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.engine.scheduling.slot_leases import leases_of, requeue
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Header, Ready, Slot
from picloud_api.usecases.accounts.slot_token import slot_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.job_token import JobTokens
    from picloud_api.usecases.accounts.slot_token import SlotTokens

SEEN_EVERY_S: Final = 5.0
"""How often a live slot's record is written, so that every API process knows it lives."""


class Slots:
    """Registers slots, recognises them, buries them."""

    def __init__(
        self,
        context: Context,
        scheduler: SchedulerPort,
        *,
        tokens: SlotTokens,
        job_tokens: JobTokens,
        idle_s: float,
    ) -> None:
        self._context = context
        self._commits = context.commits
        self.sessions = context.slot_sessions
        self._clock = context.clock
        self._scheduler = scheduler
        self._tokens = tokens
        self._job_tokens = job_tokens
        self._idle_s = idle_s
        self._known: dict[str, int] = {}

    async def register(self, proof: str) -> SlotGranted:
        """Exchange a scheduler's proof for a token; the same place gets the same slot again.

        Raises:
            SlotRefused: When the proof is not good.
        """
        placement = await self._scheduler.verify(proof)
        number = slot_number(placement.place)
        now = self._clock()
        slot = Slot(
            number=number,
            pool=placement.pool,
            burst=placement.burst,
            place=placement.place,
            started_at=now,
            seen_at=now,
        )

        async def plan(draft: Draft) -> bool:
            known = await draft.get(layout.slot(number)) is not None
            draft.put(layout.slot(number), slot)
            return known

        if await self._commits.run(plan):
            # A scheduler that lost a slot's process may start another one at the same place.
            self.sessions.remove(number)
            account = placement.pool.account
            await self._return_leases(account, number, "its process was started anew")
        self.sessions.add(SlotSession(slot, now))
        account = placement.pool.account
        return SlotGranted(
            slot=number,
            token=self._tokens.issue(number),
            account=account,
            idle_s=self._idle_s,
            job_key=self._job_tokens.key_for(account, number),
        )

    async def recognise(self, token: str) -> SlotSession:
        """The session of the slot that bears a token; it is noted that it lives.

        Raises:
            SlotRefused: When the token is forged or its slot has ended.
        """
        session = await self.find(token)
        session.seen_at = now = self._clock()
        if now - session.slot.seen_at > SEEN_EVERY_S:
            await self._note_seen(session, now)
        return session

    async def find(self, token: str) -> SlotSession:
        """The same, and nothing is noted."""
        number = self._known.get(token)
        if number is None:
            number = self._known[token] = self._tokens.number(token)
        session = self.sessions.get(number)
        if session is None:
            slot: Slot | None = await self._commits.view.get(layout.slot(number))
            if slot is None:
                del self._known[token]
                raise SlotRefused
            session = self.sessions.add(SlotSession(slot, self._clock()))
        return session

    async def _note_seen(self, session: SlotSession, now: float) -> None:
        slot = replace(session.slot, seen_at=now)

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.slot(slot.number)) is None:
                raise SlotRefused
            draft.put(layout.slot(slot.number), slot)

        session.slot = slot
        await self._commits.run(plan)

    async def remove(self, number: int, *, lost: bool, detail: str = "") -> Slot | None:
        """A slot ended: its record goes, its leases return or, lost too often, become errors.

        Args:
            number: Which slot.
            lost: Whether it ended without giving its leases back; then they are charged.
            detail: What is known of its end, for the error of a job.

        Returns:
            What was known of it, or None if it was buried before.
        """
        slot: Slot | None = await self._commits.view.get(layout.slot(number))
        self.sessions.remove(number)
        if slot is None:
            return None
        account = slot.pool.account
        if lost:
            await self._return_leases(account, number, detail)

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.slot(number)) is not None:
                draft.delete(layout.slot(number))

        await self._commits.run(plan)
        return slot

    async def reclaim(self, living: Collection[int], unfinished: Mapping[str, Ready]) -> None:
        """Return leases of slots of which nothing is known any more: no job stays in limbo.

        A process that had not heard yet of a slot's end may have leased to it after its burial.

        Args:
            living: Numbers of slots that are known to be there.
            unfinished: The batches to look through, as the store has them by their keys.
        """
        view = self._commits.view
        gone: set[tuple[str, int]] = set()
        for key, ready in unfinished.items():
            batch = Ready.parse(key)
            for number in range(ready.pages):
                page = await view.get(layout.page(layout.PageId(*batch, number)))
                if page is not None and page.leased:
                    gone.update(
                        (batch.account, slot) for slot in slots_of_page(page) if slot not in living
                    )
        for account, slot in gone:
            if await view.fresh(layout.slot(slot)) is None:
                await self._return_leases(account, slot, "nothing is known of it any more")

    async def _return_leases(self, account: str, number: int, detail: str) -> None:
        pages: dict[layout.PageId, list[tuple[int, int]]] = {}
        for batch, at, attempt in await leases_of(self._commits.view, account, number):
            page, index = divmod(at, PAGE_JOBS)
            pages.setdefault(layout.PageId(account, batch, page), []).append((index, attempt))
        for page_id, jobs in pages.items():
            plan = partial(self._lose, page_id=page_id, jobs=jobs, slot=number, detail=detail)
            await self._commits.run(plan)
        await requeue(self._context, account, [(page_id.batch, page_id.page) for page_id in pages])

    async def _lose(
        self,
        draft: Draft,
        *,
        page_id: layout.PageId,
        jobs: list[tuple[int, int]],
        slot: int,
        detail: str,
    ) -> None:
        header: Header = await draft.get(layout.header(page_id.account, page_id.batch))
        page = await draft.edit(layout.page(page_id))
        now = self._clock()
        endings = []
        for index, attempt in jobs:
            if page is None or not holds_attempt(page, index, attempt, slot):
                continue
            started = page.started[index]
            cause = charge_loss(page, index, restartable=header.options.restartable)
            if cause is Cause.KILLED:
                endings.append(killed(index, started, now))
            elif cause is not None:
                told = encode_failure(cause, _sentence(page.losses[index], header, detail))
                endings.append(Ending(index, State.ERROR, cause, told, started, now))
        draft.emit(Event(EventKind.READY, page_id.account, page_id.batch))
        await finish(draft, page_id, endings)


def _sentence(losses: int, header: Header, detail: str) -> str:
    why = f" ({detail})" if detail else ""
    if not header.options.restartable:
        return f"The slot that ran the job was lost{why}; the job is not restartable."
    return f"node lost: {losses} slots were lost while they held the job{why}."
