"""The context: what all usecases of one process share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from picloud_api.engine.process.batch_watch import Watchers
from picloud_api.engine.process.ready_queue import Queue
from picloud_api.engine.process.run_times import Pace
from picloud_api.engine.process.slot_sessions import Sessions
from picloud_api.store.archive import Archive
from picloud_api.store.commits import Commits


class Context(msgspec.Struct, frozen=True):
    """The store, what is derived from it in memory, and the time (seconds since the epoch)."""

    commits: Commits
    archive: Archive
    clock: Callable[[], float]
    queue: Queue = msgspec.field(default_factory=Queue)
    sessions: Sessions = msgspec.field(default_factory=Sessions)
    watchers: Watchers = msgspec.field(default_factory=Watchers)
    pace: Pace = msgspec.field(default_factory=Pace)
