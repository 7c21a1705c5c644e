"""Retention: deletes jobs some days after they have ended, if the operator wants that.

Only the leader deletes. It does what `picloud delete` does, for every account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from picloud_api.store.records import Account

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.jobs.delete import DeleteJobs

_DAY_S: Final = 86_400.0

_log = structlog.get_logger()


class Retention:
    """Deletes the finished jobs of all accounts that are older than some days.

    Args:
        context: The store and the clock.
        leader: Says whether this process leads.
        jobs: Deletes jobs.
        days: How long finished jobs are kept; 0 for no limit.
    """

    def __init__(self, context: Context, leader: Leadership, jobs: DeleteJobs, days: float) -> None:
        self._view = context.commits.view
        self._clock = context.clock
        self._leader = leader
        self._jobs = jobs
        self.days = days

    async def delete_if_leader(self) -> None:
        """Delete, unless another process leads."""
        if self._leader.is_leader:
            await self.delete()

    async def delete(self) -> None:
        """Delete what ended too long ago."""
        before = self._clock() - self.days * _DAY_S
        for key in await self._view.scan(Account.prefix):
            account, more = Account.parse(key), True
            while more:
                deleted = await self._jobs.delete_finished(account, before)
                more = deleted.more
                if deleted.count:
                    _log.info("retention.deleted", account=account, jobs=deleted.count)
