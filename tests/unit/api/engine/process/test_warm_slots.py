"""Warm slots: which slots of a pool are those that are kept."""

from __future__ import annotations

from picloud_api.engine.process.warm_slots import WarmSlots
from picloud_api.store.records import Slot
from picloud_driver.scheduler import Pool

POOL, OTHER = Pool("a1", "c1", 1), Pool("a1", "m1", 1)


def slot(number: int, started_at: float, pool: Pool = POOL, *, retiring: bool = False) -> Slot:
    """Return a slot."""
    return Slot(
        number=number,
        pool=pool,
        burst="b",
        place="p",
        started_at=started_at,
        seen_at=0.0,
        retiring=retiring,
    )


def test_the_oldest_slots_are_kept() -> None:
    """Of their pool, and not those that end before their next job."""
    warm = WarmSlots()
    warm.replace({POOL: 2}, {})
    slots = [
        slot(1, 0.0, retiring=True),
        slot(2, 1.0, OTHER),
        slot(3, 4.0),
        slot(4, 3.0),
        slot(5, 3.0),
    ]

    assert [each.number for each in slots if warm.keeps(each, slots)] == [4, 5]


def test_what_is_known_is_replaced() -> None:
    """A pool that is no longer named keeps no slot."""
    warm = WarmSlots()
    warm.replace({POOL: 2}, {})
    warm.replace({OTHER: 1}, {OTHER: 2})

    assert (warm.pools(), warm.count(POOL), warm.count(OTHER)) == ([OTHER], 0, 3)
    assert (warm.reserved_pools(), warm.reserved(POOL), warm.reserved(OTHER)) == ([OTHER], 0, 2)
    assert not warm.keeps(slot(1, 0.0), [slot(1, 0.0)])
