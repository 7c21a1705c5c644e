"""The results that a lease brings along, of the jobs that its batch depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.engine.scheduling.needed_results import MOST_BYTES, MOST_JOBS
from picloud_model.job import State
from picloud_model.pack import seal

from tests.unit.api.api_harness import ENVELOPE, report_of

if TYPE_CHECKING:
    from picloud_model import wire

    from tests.unit.api.api_harness import ApiHarness


async def following(
    api: ApiHarness, count: int, payload: bytes, state: State = State.DONE
) -> wire.Lease:
    """Run a map, and lease a job that depends on all of it, whatever becomes of that."""
    slot = await api.slot()
    needed = await api.submit(count)
    request = msgspec.structs.replace(
        api.request(1), depends_on=[(needed[0], needed[-1])], depends_on_errors="ignore"
    )
    (waiting,) = await api.send(request)
    while True:
        (lease,) = (await api.work(slot, wait_s=10.0)).leases
        if lease.first == waiting:
            return lease
        report = report_of(lease, state)
        ended = [msgspec.structs.replace(job, payload=payload) for job in report.ended]
        report = msgspec.structs.replace(report, ended=ended)
        await api.work(slot, reports=[report], lease=False)


@pytest.mark.parametrize("count", [1, MOST_JOBS])
async def test_small_results_are_brought_along(api: ApiHarness, count: int) -> None:
    """Each with its jid and the envelope that it was made with."""
    results = (await following(api, count, seal(b"x"))).results

    assert results is not None
    assert [each.jid for each in results.outcomes] == list(range(1, count + 1))
    assert {each.payload for each in results.outcomes} == {seal(b"x")}
    assert results.envelopes == [ENVELOPE]


@pytest.mark.parametrize(
    ("count", "size", "state"),
    [
        (MOST_JOBS + 1, 1, State.DONE),
        (2, MOST_BYTES // 2, State.DONE),
        (1, 1, State.ERROR),
    ],
)
async def test_other_results_are_left_to_requests(
    api: ApiHarness, count: int, size: int, state: State
) -> None:
    """Too many, too large, or none, as a job has failed."""
    assert (await following(api, count, seal(bytes(size)), state)).results is None
