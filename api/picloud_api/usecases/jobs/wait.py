"""`wait`: a long poll for jobs that are final, with their outcomes.

Requests for the same jobs wait together: one of them leads, looks at the jobs when they change, and
puts the reply together; the others follow it. So hundreds of clients that wait for the same map
cost little more than one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError
from picloud_model.ranges import merged
from picloud_model.wire import WaitRequest, encode

from picloud_api.engine.jobs.locate import locate
from picloud_api.engine.jobs.outcomes import FinalOutcomes, Held
from picloud_api.engine.jobs.shared_wait import SharedWaits
from picloud_api.engine.jobs.wait_set import WaitSet
from picloud_api.engine.process.turns import Turn

if TYPE_CHECKING:
    from picloud_api.engine.jobs.shared_wait import SharedWait
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.accounts.quota import AccountQuota

GATHER_S: Final = 0.15
"""How long the first results wait for more, so that a big map takes few requests."""
GATHER_PIECE_S: Final = 50e-6
"""How much longer for each page or small batch in the request: reading one takes that long."""


class _Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """One request that waits."""

    account: str
    request: WaitRequest
    hold: Callable[[int], Awaitable[Held]]
    deadline: float
    turn: Turn


class WaitForJobs:
    """Waits for jobs and returns their outcomes."""

    def __init__(self, context: Context, quota: AccountQuota) -> None:
        self._view = context.commits.view
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._turns = context.turns
        self._quota = quota
        self._shared: SharedWaits[FinalOutcomes] = SharedWaits()

    async def wait(
        self, account: str, request: WaitRequest, hold: Callable[[int], Awaitable[Held]]
    ) -> FinalOutcomes:
        """Return the outcomes of jobs that are final, once there are enough of them.

        Args:
            account: The account that owns the jobs.
            request: The jobs, and how long to wait for them.
            hold: Counts bytes that the reply takes in memory.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
            AccountBusy: When too many requests of the account wait, or too many of its bytes are
                in flight.
        """
        waiter = _Waiter(
            account=account,
            request=request,
            hold=hold,
            deadline=self._clock() + request.timeout_s,
            turn=self._turns.of(account),
        )
        if request.timeout_s <= 0:
            return await self._look(waiter)
        with self._quota.waiting(account):
            key = encode((account, request.jids, request.payloads, request.statuses))
            shared, is_new = self._shared.join(key)
            if not is_new:
                try:
                    outcomes = await shared.follow(request.timeout_s)
                except TimeoutError:
                    return await self._look(waiter)
                if outcomes is not None:
                    return outcomes
            return await self._lead(shared, waiter)

    async def _look(self, waiter: _Waiter) -> FinalOutcomes:
        """Return the outcomes of the jobs that are final now, or by the waiter's deadline."""
        wait_set, _ = await self._until_ready(waiter)
        return await self._outcomes(waiter, wait_set)

    async def _lead(self, shared: SharedWait[FinalOutcomes], waiter: _Waiter) -> FinalOutcomes:
        """Wait, and answer the followers: all of them if it is worthwhile, else none."""
        try:
            wait_set, is_ready = await self._until_ready(waiter)
            if not is_ready:
                shared.pass_on()
                return await self._outcomes(waiter, wait_set)
            shared.close()
            outcomes = await self._outcomes(waiter, wait_set)
        except PiCloudError as error:
            shared.answer(error, waiter.turn)
            raise
        except BaseException:
            shared.pass_on()
            raise
        shared.answer(outcomes, waiter.turn)
        return outcomes

    async def _until_ready(self, waiter: _Waiter) -> tuple[WaitSet, bool]:
        """Wait until an answer is worthwhile or the time is over; return which of the two."""
        jids = merged(waiter.request.jids)
        async with waiter.turn as turn:
            pieces = await locate(self._view, waiter.account, jids, turn)
        with self._watchers.watch({piece.page_id.batch for piece in pieces}) as watch:
            wait_set = WaitSet(self._view, pieces, watch)
            until = self._until_shown if waiter.request.statuses else self._until_worthwhile
            return wait_set, await until(waiter, wait_set)

    async def _until_worthwhile(self, waiter: _Waiter, wait_set: WaitSet) -> bool:
        """Wait until all jobs are final, or some are and no more came for a moment."""
        deadline = waiter.deadline
        gather_s = GATHER_S + GATHER_PIECE_S * wait_set.pieces
        while True:
            await wait_set.refresh(waiter.turn)
            if wait_set.final == wait_set.total:
                return True
            if wait_set.final:
                deadline = min(deadline, self._clock() + gather_s)
            remaining_s = deadline - self._clock()
            if remaining_s <= 0 or self._watchers.closed:
                return wait_set.final > 0 or self._watchers.closed
            if not await wait_set.wait_for_change(remaining_s):
                return wait_set.final > 0

    async def _until_shown(self, waiter: _Waiter, wait_set: WaitSet) -> bool:
        """Wait until all jobs have one of the statuses, or one of them never will."""
        statuses = set(waiter.request.statuses)
        while True:
            await wait_set.refresh(waiter.turn)
            others = [state for state in wait_set.states if state.shown not in statuses]
            remaining_s = waiter.deadline - self._clock()
            if not others or any(state.final for state in others) or self._watchers.closed:
                return True
            if remaining_s <= 0 or not await wait_set.wait_for_change(remaining_s):
                return False

    async def _outcomes(self, waiter: _Waiter, wait_set: WaitSet) -> FinalOutcomes:
        outcomes = FinalOutcomes(waiter.turn)
        if wait_set.final:
            await outcomes.read(
                self._view,
                wait_set.with_final(),
                wait_set.final,
                waiter.hold,
                payloads=waiter.request.payloads,
            )
        return outcomes
