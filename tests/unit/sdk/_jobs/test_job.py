"""`Job` and `Jobs`: numbers and ranges to old code, with methods for the jobs."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import sqlite3
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTimeoutError, CloudTypeError, Job, Jobs
from cloud._http.transport import ServerAddress

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from cloud._client.client import Client


def test_a_job_is_the_number(client: Client) -> None:
    """It prints, formats, compares and is stored as its jid; the repr says what it is."""
    job = client.call(abs, -1)

    assert isinstance(job, Job)
    assert (job, hash(job), {job: "x"}[1]) == (1, hash(1), "x")
    assert (str(job), f"{job} {job:03}", "%s %d" % (job, job)) == ("1", "1 001", "1 1")  # noqa: UP031
    assert json.dumps({"jid": job, job: [job]}) == '{"jid": 1, "1": [1]}'
    assert sqlite3.connect(":memory:").execute("select ?", (job,)).fetchone() == (1,)
    assert type(pickle.loads(pickle.dumps(job))) is int
    assert copy.deepcopy([job])[0] is job
    assert (repr(job), repr([job])) == ("Job(1)", "[Job(1)]")


def test_a_map_returns_a_sequence_of_jobs(client: Client) -> None:
    """It is used as a range of jids."""
    jobs = client.map(abs, [-1, -2, -3])

    assert isinstance(jobs, Jobs)
    assert jobs == range(1, 4)
    assert isinstance(jobs[0], Job)
    assert (str(jobs), repr(jobs)) == ("range(1, 4)", "Jobs(range(1, 4))")
    assert pickle.loads(pickle.dumps(jobs)) == range(1, 4)
    assert client.map(abs, []) == range(0)


def test_a_map_of_a_million_takes_no_memory(client: Client) -> None:
    """And handles made one by one take at most 200 bytes each."""
    kind = type(client.call(abs, -1))
    tracemalloc.start()
    try:
        jobs = Jobs(range(1, 1_000_001), kind)
        of_map = tracemalloc.get_traced_memory()[0]
        single = list(jobs[:10_000])
        of_each = (tracemalloc.get_traced_memory()[0] - of_map) / len(single)
    finally:
        tracemalloc.stop()

    assert of_map < 10_000
    assert of_each <= 200


def test_arguments_arrive_as_jobs(server: FakeServer, client: Client) -> None:
    """Nested in containers, too; what jobs and queues pickle besides is the number."""
    job, jobs = client.call(abs, -1), client.map(abs, [1, 2])

    client.call(print, job, {"all": jobs})

    *_, last = server.batches
    parcel = server.parcels(last)[0]
    (first, second), _ = client.packer.result(parcel, client.packer.envelope)
    assert (type(first), first) == (Job, 1)
    assert (type(second["all"]), second["all"]) == (Jobs, range(2, 4))
    message = client.packer.result(client.packer.value({"a": job}, "it"), client.packer.envelope)
    assert type(message["a"]) is int


def test_methods_ask_the_server(server: FakeServer, client: Client) -> None:
    """A result that has arrived is kept."""
    job = client.call(abs, -1)
    assert (job.status, job.done(), job.running()) == ("queued", False, False)
    server.done(job, 7)

    assert (job.status, job.done()) == ("done", True)
    assert job.result() == 7
    asked = len(server.sent)
    assert (job.result(), job.done(), job.running()) == (7, True, False)
    assert len(server.sent) == asked
    job.kill()
    assert server.killed == [[(1, 1)]]


def test_done_and_running_are_one_request(server: FakeServer, client: Client) -> None:
    """However many jobs there are."""
    jobs = client.map(abs, range(500))
    before = len(server.sent)

    assert (jobs.done(), jobs.running()) == (False, False)
    assert len(server.sent) == before + 2


def test_what_the_function_raised_is_raised(server: FakeServer, client: Client) -> None:
    """`cloud.result` raises a CloudException as ever; the setting chooses for both."""
    job = client.call(divmod, 1, 0)
    server.failed(job, ZeroDivisionError("no"))

    with pytest.raises(ZeroDivisionError) as raised:
        job.result()
    assert raised.value.__notes__ == ["picloud: raised in job 1"]
    assert isinstance(job.result(return_exceptions=True), ZeroDivisionError)
    with pytest.raises(CloudException, match="Job 1 failed: ZeroDivisionError"):
        client.result(job)
    with pytest.raises(ZeroDivisionError):
        Jobs(range(1, 2), type(job)).result()
    client._config.raise_original = True
    with pytest.raises(ZeroDivisionError):
        client.result(job)
    with pytest.raises(ZeroDivisionError):
        next(client.iresult(job))
    for results in (
        client.result([job], return_exceptions=True),
        [*client.iresult([job], return_exceptions=True)],
    ):
        assert isinstance(results[0], ZeroDivisionError)
    assert isinstance(client.result([job], ignore_errors=True)[0], CloudException)
    client._config.raise_original = False
    with pytest.raises(CloudException, match="ZeroDivisionError"):
        job.result()


def test_an_exit_of_the_job_does_not_end_the_client(server: FakeServer, client: Client) -> None:
    """Only an Exception is raised as itself."""
    job = client.call(exit)
    server.failed(job, SystemExit(3))  # type: ignore[arg-type]

    with pytest.raises(CloudException, match="SystemExit"):
        job.result()


def test_a_timeout_is_a_timeout_error(client: Client) -> None:
    """It is picklable, as what jobs raise has to be; the job goes on."""
    job = client.call(abs, -1)

    with pytest.raises(TimeoutError, match="unfinished after 0 s") as raised:
        job.result(timeout=0)
    copied = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(copied, CloudTimeoutError)
    assert (copied.jid, str(copied)) == (1, str(raised.value))


def test_an_event_loop_waits_for_jobs(server: FakeServer, client: Client) -> None:
    """Many at once; what failed raises, what was known is not asked again."""
    jobs = client.map(abs, range(50))
    for jid in range(1, 50):
        server.done(jid, -jid)
    server.failed(50, KeyError("x"))

    async def main() -> list[Any]:
        return await asyncio.gather(*jobs, return_exceptions=True)

    *values, error = asyncio.run(main())
    assert values == [-jid for jid in range(1, 50)]
    assert isinstance(error, KeyError)


def test_a_loop_that_was_closed_does_no_harm(server: FakeServer, client: Client) -> None:
    """The jobs that it waited for are waited for in the next loop."""
    job = client.call(abs, -1)

    async def give_up() -> None:
        await asyncio.wait_for(_wait(job), 0.05)

    async def _wait(job: Job) -> Any:
        return await job

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    server.done(job, 1)
    assert asyncio.run(_wait(job)) == 1


def test_a_map_can_be_awaited(server: FakeServer, client: Client) -> None:
    """As one list, or what its first failed job raised; to give up does not wait for its jobs."""
    jobs, failed, slow = (client.map(abs, [-1, -2]) for _ in range(3))
    for jid in (*jobs, failed[0]):
        server.done(jid, int(jid))
    server.failed(failed[1], KeyError("k"))

    async def main() -> list[Any]:
        given_up = asyncio.wait_for(_wait(slow), 0.05)
        return await asyncio.gather(_wait(jobs), _wait(failed), given_up, return_exceptions=True)

    async def _wait(jobs: Jobs) -> Any:
        return await jobs

    values, error, timeout = asyncio.run(main())
    assert values == list(jobs)
    assert isinstance(error, KeyError)
    assert isinstance(timeout, TimeoutError)
    # The thread that still waits asks this server, which never lets it wait, again and again.
    for jid in slow:
        server.done(jid, 0)
    for thread in threading.enumerate():
        if thread.name == "cloud awaited request":
            thread.join(10)
            assert not thread.is_alive()


def test_awaiting_without_a_loop_says_so(client: Client) -> None:
    """As for any other awaitable."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        next(client.call(abs, -1).__await__())


def test_a_job_can_be_made_from_a_jid(server: FakeServer, client: Client) -> None:
    """It belongs to the client in use."""
    server.done(client.call(abs, -1), 5)
    with current_client(client):
        assert Job(1).result() == 5
        assert cloud.result(Job(1)) == 5
        assert Jobs(range(1, 2)).result() == [5]


@pytest.mark.parametrize("jid", [0, -1, "7", None, True, 1.5, [7], 2**60])
def test_what_is_not_a_jid_is_refused(jid: object) -> None:
    """As everywhere else."""
    with pytest.raises(CloudException):
        Job(jid)


@pytest.mark.parametrize("jids", [7, [1, 2], range(1, 9, 2)])
def test_what_is_not_a_range_is_refused(jids: Any) -> None:
    """A list of jobs is a list."""
    with pytest.raises(CloudTypeError, match="range with step 1"):
        Jobs(jids)


def test_a_job_of_another_server_is_refused(client: Client) -> None:
    """Its number would name another job; its own methods reach its own server."""
    job = client.call(abs, -1)
    other = client_for(FakeServer())
    other.renew(ServerAddress("http://other", "pk_1_x"))

    for use in (other.result, other.status, other.kill, other.info, other.delete):
        with pytest.raises(CloudException, match="Job 1 was made with http://fake-server"):
            use(job)
    with pytest.raises(CloudException, match="was made with"):
        other.call(abs, 1, _depends_on=[job])
    assert job.status == "queued"


def test_notebooks_show_the_state(server: FakeServer, client: Client) -> None:
    """As HTML, in which nothing of the user's is markup."""
    job, jobs = client.call(abs, -1, _label="<b>"), client.map(abs, [1, 2])
    server.infos[1] = {"status": "processing", "label": "<b>", "function": "f"}

    assert "Job 1" in job._repr_html_()
    assert "&lt;b&gt;" in job._repr_html_()
    assert "2 queued" in jobs._repr_html_()
