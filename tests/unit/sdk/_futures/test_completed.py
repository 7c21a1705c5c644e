"""Waiting for jobs: what costs requests, and what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


pytestmark = pytest.mark.usefixtures("as_current")


def test_many_jobs_take_few_requests(server: FakeServer) -> None:
    """One for each thousand or so that have ended; none for the results."""
    jobs = cloud.map(abs, range(5000))
    for jid in jobs.range:
        server.done(jid, jid)
    before = len(server.sent)

    ended = list(cloud.as_completed(jobs))
    assert [job.result() for job in ended] == list(jobs.range)
    assert cloud.wait(jobs).done == set(jobs)

    assert len(server.sent) - before <= 3


class Walked(dict[int, Any]):
    """Counts how often its keys are walked: from the first one, past those that were removed."""

    walks = 0

    def __iter__(self) -> Any:
        """Return an iterator."""
        self.walks += 1
        return super().__iter__()


def test_the_jobs_of_a_reply_are_walked_once(server: FakeServer) -> None:
    """Not for each of them: 100,000 jobs may arrive together."""
    jobs = cloud.map(abs, range(5000))
    for jid in jobs.range:
        server.done(jid, jid)
    ended = cloud.as_completed(jobs)
    held = ended._ended._held = Walked()

    assert len(list(ended)) == 5000

    assert (held.walks, held) == (1, {})


def test_event_loops_receive_each_job(server: FakeServer) -> None:
    """Also one that ends while the loop gives up on the next one."""
    jobs = cloud.map(abs, range(3))
    server.done(1, "a")

    async def main() -> set[int]:
        ended = cloud.as_completed(jobs)
        received = {int(await anext(ended))}
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(ended), 0.05)
        server.done(2, "b")
        server.done(3, "c")
        return received | {int(job) async for job in ended}

    assert asyncio.run(main()) == {1, 2, 3}


@pytest.mark.parametrize("return_when", ["all", "", None])
def test_other_conditions_are_refused(return_when: str) -> None:
    """Those of `concurrent.futures` are listed."""
    with pytest.raises(CloudException, match="FIRST_EXCEPTION"):
        cloud.wait([], return_when=return_when)


def test_a_wait_that_times_out_raises_nothing(server: FakeServer) -> None:
    """What has not ended is in the second set."""
    jobs = cloud.map(abs, range(2))
    server.done(1, "a")

    done, not_done = cloud.wait(jobs, timeout=0)

    assert (done, not_done) == ({1}, {2})
    assert cloud.wait(jobs, return_when="FIRST_COMPLETED").done == {1}
    assert cloud.wait([]) == (set(), set())
