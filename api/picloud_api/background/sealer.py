"""The sealer: moves batches that finished a while ago out of a state store that has to stay small.

Only the leader seals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from picloud_api.store import layout
from picloud_api.store.records import Finished
from picloud_api.store.sealing import AT_ONCE, Sealing

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context

SEAL_AFTER_S: Final = 60.0
"""How long a finished batch stays in the state store: most results are fetched at once."""

_log = structlog.get_logger()


class Sealer:
    """Finds the batches that are due and has them sealed."""

    def __init__(self, context: Context, leader: Leadership) -> None:
        self._context = context
        self._view = context.commits.view
        self._sealing = Sealing(context.commits.view.state, context.archive)
        self._leader = leader

    async def seal_if_leader(self) -> None:
        """Seal what is due, unless another process leads."""
        if self._leader.is_leader:
            await self.seal_finished()

    async def seal_finished(self) -> None:
        """Seal each batch that finished more than a minute ago; readers find it as before."""
        now = self._context.clock()
        due = [
            Finished.parse(key)
            for key, finished in (await self._view.scan(Finished.prefix)).items()
            if now - finished.finished_at > SEAL_AFTER_S
        ]
        for start in range(0, len(due), AT_ONCE):
            group = due[start : start + AT_ONCE]
            # A damaged blob in the place of one batch does not keep the others from being sealed.
            for batch, fault in (await self._sealing.seal(group)).items():
                _log.error("seal.failed", batch=batch.batch, reason=fault.message)
            for batch in group:
                self._view.forget_sealed(*batch)
                self._view.forget([layout.finished(*batch)])
