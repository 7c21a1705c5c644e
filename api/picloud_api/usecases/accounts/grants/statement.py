"""Statements of an account: what it has to pay for its last months."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.statement import day_of, known_since, month_of, statements
from picloud_model.wire.usage import JobUsageRequest

if TYPE_CHECKING:
    from picloud_model.wire.statement import Statements

    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.accounts.grants.grant import Grants
    from picloud_api.usecases.accounts.job_usage import JobUsages


class AccountStatements:
    """Makes the statements of the present month, for a page."""

    def __init__(self, context: Context, grants: Grants, usages: JobUsages) -> None:
        self._clock = context.clock
        self._grants = grants
        self._usages = usages

    async def latest(self, account: str) -> Statements | None:
        """Return the statements up to now; None if that takes more than one request may read."""
        listed = await self._grants.list(account)
        since_at = known_since(month_of(day_of(self._clock())), listed.grants)
        used = await self._usages.read(account, JobUsageRequest(by="day", since_at=since_at))
        if used.more is not None:
            return None
        return statements(used.rows, listed.grants, listed.free)
