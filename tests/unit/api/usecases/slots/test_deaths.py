"""Deaths of slots: which of them died alone, and the history of lost attempts."""

from __future__ import annotations

from picloud_api.engine.jobs.fence import Blame
from picloud_api.store.layout import PageId
from picloud_api.store.records import Slot
from picloud_api.usecases.slots.deaths import TOGETHER_S, LostAttempts, SlotDeaths
from picloud_driver.scheduler import Pool

POOL = Pool("a", "c1", 1)


class Deaths:
    """A server that began at 1,000 s, and the time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.deaths = SlotDeaths(lambda: self.now)

    def die(self, number: int, at: float, seen_at: float = 1_100.0) -> Slot:
        """Let a slot die that was alive at `seen_at`."""
        self.now = at
        self.deaths.record(number)
        return Slot(
            number=number, pool=POOL, burst="b", place="p", started_at=900.0, seen_at=seen_at
        )


def test_a_slot_that_died_alone() -> None:
    """Deaths long before and after it do not matter."""
    server = Deaths()
    server.die(1, 1_200.0)
    slot = server.die(2, 1_200.1 + TOGETHER_S)
    server.die(3, 1_200.2 + 2 * TOGETHER_S)

    assert server.deaths.blame(slot) is Blame.JOB


def test_slots_that_died_within_seconds() -> None:
    """The jobs of both are spared, in whatever order the slots died."""
    server = Deaths()
    slots = [server.die(1, 1_200.0), server.die(2, 1_201.0)]

    assert [server.deaths.blame(slot) for slot in slots] == [Blame.UNCLEAR, Blame.UNCLEAR]


def test_slots_that_died_with_the_server() -> None:
    """One that was never seen since the server began is not charged."""
    server = Deaths()
    slot = server.die(1, 1_300.0, seen_at=999.0)

    assert server.deaths.blame(slot) is Blame.OUTSIDE


def test_the_history_of_a_job() -> None:
    """Each attempt is named with the first line of what is known of its end."""
    attempts = LostAttempts()
    page_id = PageId("a", "b", 0)
    attempts.record(page_id, 3, 1, "signal 9 (Killed); its log ends:\nmuch")
    attempts.record(page_id, 3, 2, "")

    assert attempts.peek(page_id, 3) == "attempt 1: signal 9 (Killed); attempt 2: the slot was lost"
    assert attempts.peek(page_id, 4) == ""
