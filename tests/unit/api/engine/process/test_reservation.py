"""Reservations: how long they are held, and where they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace
from picloud_api.engine.process.reservation import (
    EndedReservationRecord,
    ReservationRecord,
    reservations,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness

HELD = ReservationRecord(
    request_id="a" * 32,
    core_type="c1",
    cores=2,
    job_cores=1,
    env=None,
    python="3.11",
    hours=1.0,
    requested_at=0.0,
    started_at=100.0,
)


def test_it_is_held_from_its_start_until_its_end() -> None:
    """A reservation ends when it is released or when its hours are over."""
    assert (HELD.until_at, HELD.is_active(3699.0), HELD.is_active(3700.0)) == (3700.0, True, False)
    assert [HELD.core_ms(now) for now in (50.0, 101.0, 9999.0)] == [0, 2000, 7_200_000]
    released = replace(HELD, released_at=110.0)
    assert (released.until_at, released.core_ms(9999.0)) == (110.0, 20_000)
    assert replace(HELD, hours=None).until_at is None
    waiting = replace(HELD, started_at=None)
    assert (waiting.until_at, waiting.is_active(9999.0), waiting.core_ms(9999.0)) == (None, True, 0)


async def test_one_that_has_just_ended_counts_once(api: ApiHarness) -> None:
    """It may be found under both of its keys."""
    records = {
        f"realtime/{ACCOUNT}/1": HELD,
        f"ended_realtime/{ACCOUNT}/1": EndedReservationRecord(**asdict(HELD)),
        f"ended_realtime/{ACCOUNT}/2": EndedReservationRecord(**asdict(HELD)),
        "realtime/a0000002/3": HELD,
    }

    async def plan(draft: Draft) -> None:
        for key, record in records.items():
            await draft.get(key)
            draft.put(key, record)

    await api.server.context.commits.run(plan)

    assert len(await reservations(api.server.context.commits.view, ACCOUNT)) == 2
