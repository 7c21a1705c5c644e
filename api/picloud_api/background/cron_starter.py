"""The cron starter: submits the jobs of cron jobs when they are due. Only the leader does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from picloud_model.errors import PiCloudError

from picloud_api.store.records import CronRecord

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.usecases.crons.cron import Crons

READ_EVERY_S: Final = 30.0
"""How often all cron jobs are read, whatever the events were."""
_AT_ONCE: Final = 10
"""Jobs that are submitted together: as many as fit into a transaction of Consul."""
_PAUSE_S: Final = 1.0
"""How long a cron job rests whose job could not be submitted; twice as long each time."""
LONGEST_PAUSE_S: Final = 60.0

_log = structlog.get_logger()


class _Pause(NamedTuple):
    """Since when a cron job rests, and for how long."""

    begun_at: float
    length_s: float


class CronStarter:
    """Knows when each cron job is due next.

    Args:
        context: The store and the clock.
        leader: Says whether this process leads.
        crons: Submits jobs.
    """

    def __init__(self, context: Context, leader: Leadership, crons: Crons) -> None:
        self._view = context.commits.view
        self._clock = context.clock
        self._changed = context.crons_changed
        self._leader = leader
        self._crons = crons
        self._next: dict[str, float] = {}
        self._failed: dict[str, _Pause] = {}
        self._since: float | None = None
        self._read_at = 0.0

    async def start_if_leader(self) -> None:
        """Submit what is due, unless another process leads."""
        if not self._leader.is_leader:
            self._since = None
            return
        now = self._clock()
        if self._since is None:
            self._since = now
            self._changed.set()
        if self._changed.is_set() or abs(now - self._read_at) >= READ_EVERY_S:
            self._changed.clear()
            self._read_at = now
            records = await self._view.scan(CronRecord.prefix)
            self._next = {key: record.next_at for key, record in records.items()}
            self._failed = {key: each for key, each in self._failed.items() if key in records}
        due = [key for key, at in self._next.items() if at <= now and not self._rests(key, now)]
        for start in range(0, len(due), _AT_ONCE):
            some = due[start : start + _AT_ONCE]
            outcomes = await self._crons.start_due(some, now, self._since)
            for key, outcome in zip(some, outcomes, strict=True):
                self._note(key, now, outcome)

    def _note(self, key: str, now: float, outcome: float | PiCloudError | None) -> None:
        """Note when a cron job is due next, or that it rests, as its job cannot be submitted."""
        if isinstance(outcome, PiCloudError):
            _log.warning("cron.not_started", cron=key, reason=outcome.message)
            last = self._failed.get(key)
            length_s = min(2 * last.length_s, LONGEST_PAUSE_S) if last else _PAUSE_S
            self._failed[key] = _Pause(now, length_s)
            return
        self._failed.pop(key, None)
        if outcome is None:
            self._next.pop(key, None)
        else:
            self._next[key] = outcome

    def _rests(self, key: str, now: float) -> bool:
        """Whether it is too early to try again what failed; not after the clock was set back."""
        pause = self._failed.get(key)
        return pause is not None and 0 <= now - pause.begun_at < pause.length_s
