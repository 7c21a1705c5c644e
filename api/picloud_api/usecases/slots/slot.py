"""Slots: they register with a proof, send a token, and lose their leases when they end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import SlotRefused
from picloud_model.job import MAX_LOSSES, Cause, State
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import SlotGranted, SlotsRestarted

from picloud_api.engine.jobs.fence import (
    Blame,
    charge_loss,
    holds_attempt,
    killed_under_lease,
    slots_of_page,
)
from picloud_api.engine.jobs.finish import Ending, encode_failure, finish, killed_ending
from picloud_api.engine.jobs.locate import pages_of
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.engine.scheduling.slot_leases import leases_of, requeue
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Header, Ready, Slot
from picloud_api.usecases.accounts.slot_token import slot_number
from picloud_api.usecases.slots.deaths import LostAttempts, SlotDeaths

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from picloud_driver.scheduler import SchedulerPort
    from picloud_model.page import Page

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.job_token import JobTokens
    from picloud_api.usecases.accounts.slot_token import SlotTokens

SEEN_EVERY_S: Final = 5.0
"""How often the record of a live slot is written, so that every API process knows it is alive."""


class Slots:
    """Registers slots, recognises their tokens, and removes slots that ended."""

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
        self._turns = context.turns
        self._scheduler = scheduler
        self._tokens = tokens
        self._job_tokens = job_tokens
        self._idle_s = idle_s
        self._numbers: dict[str, int] = {}
        self._lost_attempts = LostAttempts()
        self.deaths = SlotDeaths(context.clock)

    async def register(self, proof: str) -> SlotGranted:
        """Exchange a scheduler's proof for a token; a place always gets the same slot.

        Raises:
            SlotRefused: When the scheduler did not issue the proof, or the slot has ended.
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

        async def plan(draft: Draft) -> Slot | None:
            earlier: Slot | None = await draft.get(layout.slot(number))
            draft.put(layout.slot(number), slot)
            return earlier

        earlier = await self._commits.run(plan)
        if earlier is not None:
            # A scheduler may replace the process of a slot that died at the same place.
            self.sessions.remove(number)
            detail = "its process was started anew"
            blame = self.deaths.blame(earlier)
            await self._return_leases(placement.pool.account, number, blame, detail)
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
        """Return the session of the slot that sends a token, and record that the slot is alive.

        Raises:
            SlotRefused: When the token is forged or its slot has ended.
        """
        session = await self.find(token)
        session.seen_at = now = self._clock()
        if now - session.slot.seen_at > SEEN_EVERY_S:
            await self._record_seen(session, now)
        return session

    async def find(self, token: str) -> SlotSession:
        """Return the session of the slot that sends a token; raises as `recognise`."""
        number = self._numbers.get(token)
        if number is None:
            number = self._numbers[token] = self._tokens.number(token)
        session = self.sessions.get(number)
        if session is None:
            slot: Slot | None = await self._commits.view.get(layout.slot(number))
            if slot is None:
                self._numbers.pop(token, None)  # another request of it may have been here
                raise SlotRefused
            session = self.sessions.add(SlotSession(slot, self._clock()))
        return session

    async def restart(self, account: str) -> SlotsRestarted:
        """Have every slot of an account end before its next job; all servers know within 5 s."""
        slots = await self._commits.view.scan(Slot.prefix)
        mine = [slot.number for slot in slots.values() if slot.pool.account == account]
        for number in mine:
            await self._commits.run(partial(self._retire, number=number))
        return SlotsRestarted(count=len(mine))

    async def _retire(self, draft: Draft, number: int) -> None:
        slot: Slot | None = await draft.get(layout.slot(number))
        if slot is None:
            return
        slot = replace(slot, retiring=True)
        draft.put(layout.slot(number), slot)
        session = self.sessions.get(number)
        if session is not None:
            session.slot = slot
            session.wake()

    async def _record_seen(self, session: SlotSession, now: float) -> None:
        async def plan(draft: Draft) -> Slot:
            stored: Slot | None = await draft.get(layout.slot(session.number))
            if stored is None:
                raise SlotRefused
            slot = replace(stored, seen_at=now)
            draft.put(layout.slot(session.number), slot)
            return slot

        # At once, so that other requests of the slot do not record it, too.
        session.slot = replace(session.slot, seen_at=now)
        session.slot = await self._commits.run(plan)

    async def remove(
        self, number: int, blame: Blame | None = None, detail: str = ""
    ) -> Slot | None:
        """Delete the record of a slot that ended, and queue the jobs it held again.

        Args:
            number: The slot's number.
            blame: Why it was lost with the jobs that it held; one that was lost too often fails.
                None if it has returned its leases.
            detail: What is known of its end, for the error of a job.

        Returns:
            Its record, or None if it was removed before.
        """
        slot: Slot | None = await self._commits.view.get(layout.slot(number))
        self.sessions.remove(number)
        if slot is None:
            return None
        account = slot.pool.account
        if blame is not None:
            await self._return_leases(account, number, blame, detail)

        async def plan(draft: Draft) -> None:
            if await draft.get(layout.slot(number)) is not None:
                draft.delete(layout.slot(number))

        await self._commits.run(plan)
        return slot

    async def end_killed(self, number: int) -> None:
        """End the jobs that a slot held when it ended, and that their user has killed.

        Nothing of them runs, and none of them is charged, whatever the slot died of.
        """
        slot: Slot | None = await self._commits.view.get(layout.slot(number))
        if slot is not None:
            for page_id, jobs in (await self._held(slot.pool.account, number)).items():
                plan = partial(self._end_killed, page_id=page_id, jobs=jobs, slot=number)
                await self._commits.run(plan)

    async def _end_killed(
        self, draft: Draft, *, page_id: layout.PageId, jobs: list[tuple[int, int]], slot: int
    ) -> None:
        page: Page = await draft.get(layout.page(page_id))
        endings = [
            killed_ending(index, page.started[index], self._clock())
            for index, attempt in jobs
            if holds_attempt(page, index, attempt, slot) and page.flags[index] & Flag.KILL_REQUESTED
        ]
        await finish(draft, page_id, endings)

    async def reclaim(
        self, living: Collection[int], unfinished: Mapping[str, Ready]
    ) -> dict[layout.PageId, list[tuple[int, int]]]:
        """Take back the leases of slots that no longer exist, so that no job waits forever.

        An API process that did not know of a slot's end may have leased to it after its removal.

        Args:
            living: The numbers of slots that are known to be alive.
            unfinished: The batches to search, by their keys.

        Returns:
            (index, attempt) of the jobs that slots hold and that their user has killed, by page.
        """
        view = self._commits.view
        killed: dict[layout.PageId, list[tuple[int, int]]] = {}
        missing: set[tuple[str, int]] = set()
        for key, ready in unfinished.items():
            batch = Ready.parse(key)
            async with self._turns.of(batch.account) as turn:
                async for page_id, page in pages_of(
                    view, batch, ready.pages, turn, at_leisure=True
                ):
                    if page.leased:
                        if attempts := killed_under_lease(page):
                            killed[page_id] = attempts
                        slots = slots_of_page(page)
                        missing.update(
                            (batch.account, slot) for slot in slots if slot not in living
                        )
        for account, slot in missing:
            if await view.fresh(layout.slot(slot)) is None:
                await self._return_leases(account, slot, Blame.OUTSIDE, "it no longer exists")
        return killed

    async def _return_leases(self, account: str, number: int, blame: Blame, detail: str) -> None:
        """Charge the loss of a slot to the jobs it held, and queue them again."""
        pages = await self._held(account, number)
        for page_id, jobs in pages.items():
            await self._commits.run(
                partial(
                    self._lose,
                    page_id=page_id,
                    jobs=jobs,
                    slot=number,
                    blame=blame,
                    detail=detail,
                )
            )
            for index, attempt in jobs:
                self._lost_attempts.record(page_id, index, attempt, detail)
        await requeue(self._context, account, [(page_id.batch, page_id.page) for page_id in pages])

    async def _held(self, account: str, number: int) -> dict[layout.PageId, list[tuple[int, int]]]:
        """Return (index, attempt) of the jobs that a slot holds, by page."""
        pages: dict[layout.PageId, list[tuple[int, int]]] = {}
        for batch, at, attempt in await leases_of(self._commits.view, account, number):
            page, index = divmod(at, PAGE_JOBS)
            pages.setdefault(layout.PageId(account, batch, page), []).append((index, attempt))
        return pages

    async def _lose(
        self,
        draft: Draft,
        *,
        page_id: layout.PageId,
        jobs: list[tuple[int, int]],
        slot: int,
        blame: Blame,
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
            cause = charge_loss(page, index, blame, restartable=header.options.restartable)
            if cause is Cause.KILLED:
                endings.append(killed_ending(index, started, now))
            elif cause is not None:
                earlier = self._lost_attempts.peek(page_id, index)
                message = _message(page, index, header, earlier, f"attempt {attempt}: {detail}")
                endings.append(
                    Ending(
                        index=index,
                        state=State.ERROR,
                        cause=cause,
                        payload=encode_failure(cause, message),
                        started_at=started,
                        finished_at=now,
                    )
                )
        draft.emit(Event(EventKind.READY, page_id.account, page_id.batch))
        await finish(draft, page_id, endings)


def _message(page: Page, index: int, header: Header, earlier: str, last: str) -> str:
    if not header.options.restartable:
        return f"The slot that ran the job was lost ({last}); the job is not restartable."
    losses = page.losses[index]
    slots = f"{losses} slots were" if losses >= MAX_LOSSES else "too many slots were"
    history = f"{earlier}; {last}" if earlier else last
    return f"node lost: {slots} lost while they held the job ({history})."
