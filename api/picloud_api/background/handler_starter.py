"""The handler starter: starts jobs of the handlers of queues in which messages wait.

Each process does so at once for what is pushed through it. The leader also looks at all queues that
have a handler: messages that were delayed or given back wait without a push.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.usecases.queues.attachment import Attachments
    from picloud_api.usecases.queues.pushed_queues import PushedQueues

LIST_EVERY: Final = 5
"""After how many looks the leader reads anew which queues have a handler."""
_PAUSE_S: Final = 0.2
"""The pause after a look at what was pushed, so that many pushes do not mean many looks."""

_log = structlog.get_logger()


class HandlerStarter:
    """Starts jobs of handlers."""

    def __init__(self, attachments: Attachments, pushed: PushedQueues, leader: Leadership) -> None:
        self._attachments = attachments
        self._pushed = pushed
        self._leader = leader
        self._known: set[tuple[str, str]] = set()
        self._looks = 0

    async def start_for_pushed(self) -> None:
        """Start jobs for queues that got messages in this process; wait for the first."""
        names = await self._pushed.take()
        self._known |= names
        await self._start(names, grow=False)
        await asyncio.sleep(_PAUSE_S)

    async def start_if_leader(self) -> None:
        """Start jobs for all queues, unless another process leads."""
        if not self._leader.is_leader:
            return
        if self._looks % LIST_EVERY == 0:
            self._known = await self._attachments.all()
        self._looks += 1
        await self._start(self._known, grow=True)

    async def _start(self, names: set[tuple[str, str]], *, grow: bool) -> None:
        for account, queue in sorted(names):
            try:
                await self._attachments.start_jobs(account, queue, grow=grow)
            except PiCloudError as error:
                # Another queue may work.
                _log.warning("handler.not_started", queue=queue, reason=error.message)
