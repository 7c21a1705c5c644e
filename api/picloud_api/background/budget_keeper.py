"""The budget keeper: keeps up with what jobs cost, and stops those for which nothing is left.

Only the leader kills. Jobs that run count so far, so a long one does not run past its budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.accounts.budget import Budgets
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.slots.realtime import RealtimeCores

AGAIN_S: Final = 10.0
"""After how long a batch is killed again of which jobs have not ended."""

_log = structlog.get_logger()


class BudgetKeeper:
    """Acts on budgets that are reached.

    Args:
        context: The clock.
        leader: Says whether this process leads.
        budgets: Know what is spent.
        kill: Kills jobs.
        realtime: Ends reservations.
    """

    def __init__(
        self,
        context: Context,
        leader: Leadership,
        budgets: Budgets,
        kill: KillJobs,
        realtime: RealtimeCores,
    ) -> None:
        self._clock = context.clock
        self._leader = leader
        self._budgets = budgets
        self._kill = kill
        self._realtime = realtime
        self._killed_at: dict[tuple[str, str], float] = {}

    async def keep(self) -> None:
        """Read what was spent; if this process leads, stop what budgets stop."""
        leads = self._leader.is_leader
        await self._budgets.keep_up(every=leads)
        if not leads:
            return
        for account in self._budgets.without_reservations():
            await self._realtime.release_all(account)
            _log.warning("budget.released", account=account)
        now = self._clock()
        self._killed_at = {
            batch: at for batch, at in self._killed_at.items() if abs(now - at) < AGAIN_S
        }
        for account, batch, jids in self._budgets.overdrawn():
            if (account, batch) in self._killed_at:
                continue
            try:
                killed = await self._kill.kill(account, [jids], over_budget=True)
            except PiCloudError as error:
                # Another batch may be killed.
                _log.warning("budget.not_killed", account=account, reason=error.message)
                continue
            self._killed_at[account, batch] = now
            _log.warning("budget.killed", account=account, first=jids[0], jobs=killed.count)
