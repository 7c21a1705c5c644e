"""`Job` and `Jobs` on every stack: results, errors, output, event loops, and jobs as arguments."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, Job, Jobs

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def double(value: Any) -> Any:
    """Twice a value."""
    return 2 * value


def fail(text: str) -> None:
    """Raise an error within a group."""
    group = "several"
    raise ExceptionGroup(group, [ValueError(text), KeyError(text)])


def of_job(job: Job, jobs: Jobs) -> tuple[Any, ...]:
    """Use jobs that were made elsewhere, in a job."""
    inner = cloud.call(double, 4)
    return type(job).__name__, job.result(60), sum(jobs.result(60)), inner.result(60), inner


async def both(first: Job, second: Job) -> list[Any]:
    """Wait for two jobs in an event loop."""
    return list(await asyncio.gather(first, second))


def in_a_loop() -> list[Any]:
    """Wait for jobs in the event loop of a job."""
    return asyncio.run(both(cloud.call(double, 1), cloud.call(double, 2)))


def test_a_job_has_its_result_and_its_error(client: Client) -> None:
    """`result` raises what the function raised, with its own frames; `cloud.result` as ever."""
    job, bad = client.call(double, 21), client.call(fail, "x")

    assert job.result(WAIT_S) == 42
    assert (job.status, job.done(), job.running()) == ("done", True, False)
    with pytest.raises(ExceptionGroup, match="several") as raised:
        bad.result(WAIT_S)
    assert [type(each) for each in raised.value.exceptions] == [ValueError, KeyError]
    names = [entry.name for entry in raised.traceback]
    assert names[-1] == "fail"
    with pytest.raises(CloudException, match=r"Job \d+ failed: ExceptionGroup"):
        client.result(bad)


def test_output_is_followed_until_the_end(client: Client) -> None:
    """`logs(follow=True)` ends with the job; `info` and `kill` are of this job."""
    job = client.call(print, "hello", "there")
    slow = client.call(time.sleep, 600)

    assert "".join(job.logs(follow=True)) == "hello there\n"
    assert job.info("stdout") == {"stdout": "hello there\n"}
    slow.kill()
    with pytest.raises(CloudException, match="killed"):
        slow.result(WAIT_S)


def test_an_event_loop_waits_for_many(client: Client) -> None:
    """`await` waits without blocking the loop."""

    async def main() -> tuple[list[Any], int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.001)

        beating = asyncio.create_task(beat())
        values = await asyncio.gather(*client.map(double, range(20)))
        beating.cancel()
        return values, beats

    values, beats = asyncio.run(main())
    assert values == [2 * each for each in range(20)]
    assert beats > 1


def test_jobs_are_arguments_and_work_in_jobs(client: Client, stack: Stack) -> None:
    """They arrive as `Job` and `Jobs`; a job that is a result is the number."""
    job, jobs = client.call(double, 1), client.map(double, [1, 2])

    name, first, total, second, inner = client.call(of_job, job, jobs).result(WAIT_S)

    assert (name, first, total, second) == ("Job", 2, 6, 8)
    assert type(inner) is int
    assert client.result(inner) == 8
    assert client.call(in_a_loop).result(WAIT_S) == [2, 4]


def test_a_job_is_made_again_from_its_number(client: Client) -> None:
    """In any process that uses the account."""
    jid = int(client.call(double, 3))

    with current_client(client):
        assert cloud.Job(jid).result(WAIT_S) == 6
