"""The ready queue: the order of batches, and what is left of it after leasing."""

from __future__ import annotations

import msgspec
from picloud_api.engine.process.ready_queue import ReadyQueue
from picloud_api.store.records import Ready
from picloud_driver.scheduler import Pool
from picloud_model.page import PAGE_JOBS

POOL = Pool("a1", "c1", 1)
READY = Ready(first=1, count=1, priority=5, pool=POOL, open_pages=1)


def ready(first: int, *, priority: int = 5, count: int = 1, parent: int = 0) -> Ready:
    """Return the marker of a batch."""
    return msgspec.structs.replace(
        READY, first=first, priority=priority, count=count, parent=parent
    )


def order(queue: ReadyQueue) -> list[str]:
    """Return the queued batches in their order."""
    return [queued.batch for queued in queue.batches(POOL)]


def test_lower_priority_numbers_come_first_then_older_batches() -> None:
    """The order of submits decides only among equals."""
    queue = ReadyQueue()
    queue.offer("a1", "young", ready(9))
    queue.offer("a1", "urgent", ready(8, priority=1))
    queue.offer("a1", "old", ready(1))

    assert order(queue) == ["urgent", "old", "young"]
    assert order(queue) == ["urgent", "old", "young"]


def test_a_batch_is_queued_once() -> None:
    """Offering it again changes nothing, not even its pages."""
    queue = ReadyQueue()
    entry = queue.offer("a1", "b1", ready(1, count=3 * PAGE_JOBS))
    entry.pages.remove(0)

    assert queue.offer("a1", "b1", ready(1)) is entry
    assert order(queue) == ["b1"]
    assert entry.pages == [1, 2]


def test_a_dropped_batch_comes_back_with_the_pages_given_back() -> None:
    """Its other pages have nothing to lease."""
    queue = ReadyQueue()
    queue.offer("a1", "b1", ready(1, count=3 * PAGE_JOBS))
    queue.drop("a1", "b1")
    assert not queue.knows("a1", "b1")
    assert order(queue) == []

    queue.give_back("a1", "b1", 2, ready(1, count=3 * PAGE_JOBS))
    queue.give_back("a1", "b1", 1, ready(1, count=3 * PAGE_JOBS))

    assert order(queue) == ["b1"]
    entry = queue.get("a1", "b1")
    assert entry is not None
    assert sorted(entry.pages) == [1, 2]


def test_a_batch_that_is_dropped_while_the_queue_is_read_is_gone() -> None:
    """The others stay in their order."""
    queue = ReadyQueue()
    for first, batch in ((1, "b1"), (2, "b2"), (3, "b3")):
        queue.offer("a1", batch, ready(first))

    for queued in queue.batches(POOL):
        if queued.batch == "b1":
            queue.drop("a1", "b2")

    assert order(queue) == ["b1", "b3"]


def test_jobs_are_counted_as_far_as_needed() -> None:
    """Of a batch no more than its queued pages can hold."""
    queue = ReadyQueue()
    queue.offer("a1", "map", ready(1, count=2 * PAGE_JOBS + 5))
    queue.offer("a1", "call", ready(9000))

    assert queue.jobs(POOL, 3) == 3
    assert queue.jobs(POOL, 10 * PAGE_JOBS) == 2 * PAGE_JOBS + 6
    assert queue.jobs(Pool("a1", "m1", 1), 3) == 0
    assert queue.pools() == [POOL]


def test_batches_of_jobs_are_listed_newest_first() -> None:
    """Those of clients are not among them, nor those that were dropped."""
    queue = ReadyQueue()
    queue.offer("a1", "client's", ready(1))
    for first, batch in ((2, "b2"), (4, "b4"), (3, "b3")):
        queue.offer("a1", batch, ready(first, parent=1))
    queue.drop("a1", "b3")

    assert [queued.batch for queued in queue.made_by_jobs(POOL)] == ["b4", "b2"]


def test_two_accounts_may_use_one_batch_id() -> None:
    """Clients choose it."""
    queue = ReadyQueue()
    queue.offer("a1", "b1", ready(1))

    assert queue.knows("a1", "b1")
    assert not queue.knows("a2", "b1")
    queue.drop("a2", "b1")
    assert order(queue) == ["b1"]


def test_an_account_has_jobs_that_wait() -> None:
    """Those of other accounts do not count."""
    queue = ReadyQueue()
    queue.offer("a1", "b1", ready(1))
    assert (queue.has_jobs("a1"), queue.has_jobs("a2")) == (True, False)

    queue.drop("a1", "b1")

    assert not queue.has_jobs("a1")
