"""The secret revoker: ends what was minted for jobs that have ended. Only the leader does.

It renews what jobs that run need for longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.accounts.secrets.minted_secret import MintedRecord, MintedSecrets

READ_EVERY_S: Final = 30.0
"""How often all leases are read, whatever the events were."""
AGAIN_S: Final = 5.0
"""After how long the secret store is asked again when it did not answer."""

_log = structlog.get_logger()


class SecretRevoker:
    """Knows what was minted and not revoked.

    Args:
        context: The clock, and what says that something was minted.
        leader: Says whether this process leads.
        minted: Revokes and renews.
    """

    def __init__(self, context: Context, leader: Leadership, minted: MintedSecrets) -> None:
        self._clock = context.clock
        self._changed = context.minted_changed
        self._leader = leader
        self._minted = minted
        self._unrevoked: dict[str, MintedRecord] = {}
        self._read_at: float | None = None
        self._again_at = 0.0
        self._is_away = False

    async def revoke_if_leader(self) -> None:
        """Revoke what is no longer needed, unless another process leads."""
        if not self._leader.is_leader:
            self._read_at = None
            return
        now = self._clock()
        is_old = self._read_at is None or abs(now - self._read_at) >= READ_EVERY_S
        if is_old or self._changed.is_set():
            self._changed.clear()
            self._unrevoked = await self._minted.unrevoked()
            self._read_at = now
        if now >= self._again_at:
            await self._tend_all(now)

    async def _tend_all(self, now: float) -> None:
        for key, record in [*self._unrevoked.items()]:
            try:
                tended = await self._minted.tend(key, record)
            except PiCloudError as error:
                if not self._is_away:
                    _log.warning("minted_secret.not_revoked", reason=error.message)
                self._again_at, self._is_away = now + AGAIN_S, True
                return
            if tended is None:
                del self._unrevoked[key]
            else:
                self._unrevoked[key] = tended
        self._is_away = False
