"""The context: what all use cases of one process share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from picloud_driver.trace import NoTraces, TracePort

from picloud_api.engine.process.account_changes import AccountChanges
from picloud_api.engine.process.batch_watch import BatchWatchers
from picloud_api.engine.process.ready_queue import ReadyQueue
from picloud_api.engine.process.run_times import PhaseTimes, RunTimes
from picloud_api.engine.process.slot_sessions import SlotSessions
from picloud_api.engine.process.turns import Turns
from picloud_api.engine.process.warm_slots import WarmSlots
from picloud_api.store.archive import Archive
from picloud_api.store.commits import Commits


class Context(msgspec.Struct, frozen=True):
    """The store, what is derived from it in memory, and the clock (seconds since the epoch)."""

    commits: Commits
    archive: Archive
    clock: Callable[[], float]
    ready_queue: ReadyQueue = msgspec.field(default_factory=ReadyQueue)
    slot_sessions: SlotSessions = msgspec.field(default_factory=SlotSessions)
    account_changes: AccountChanges = msgspec.field(default_factory=AccountChanges)
    batch_watchers: BatchWatchers = msgspec.field(default_factory=BatchWatchers)
    run_times: RunTimes = msgspec.field(default_factory=RunTimes)
    phase_times: PhaseTimes = msgspec.field(default_factory=PhaseTimes)
    turns: Turns = msgspec.field(default_factory=Turns)
    warm_slots: WarmSlots = msgspec.field(default_factory=WarmSlots)
    crons_changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when a cron job was registered, here or by another process."""
    webhooks_changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    budgets_changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when a budget was set or removed, likewise."""
    minted_changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when a secret was minted for a job, likewise."""
    traces: TracePort = NoTraces()
