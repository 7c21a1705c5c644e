"""The context: what the use cases of one process share, and no other process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.engine.process.context import Context

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def test_each_context_has_memory_of_its_own(api: ApiHarness) -> None:
    """Two servers in one process, as in tests, do not mix their slots and queues."""
    given = api.server.context

    other = Context(given.commits, given.archive, given.clock)

    assert other.ready_queue is not given.ready_queue
    assert other.slot_sessions is not given.slot_sessions
    assert other.batch_watchers is not given.batch_watchers
    assert other.run_times is not given.run_times
    assert other.commits is given.commits
