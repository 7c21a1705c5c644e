"""Waiting, results and errors."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException, CloudTimeoutError
from cloud._config.configuration import Config
from cloud._jobs.wait import Waiter, WaitOptions
from cloud._packing.packer import Packer
from cloud._resources.blob import BlobClient, content_of
from picloud_model import pack, wire
from picloud_model.job import Cause

from tests.unit.sdk.fake_server import FakeServer, client_for, result_parcel

if TYPE_CHECKING:
    from cloud._client.client import Client


def test_a_single_jid_gives_the_value(server: FakeServer, client: Client) -> None:
    """One jid, one value."""
    server.done(1, 1024)

    assert client.result(1) == 1024


def test_results_come_in_the_order_asked(server: FakeServer, client: Client) -> None:
    """Whatever order jobs ended in, and also where a jid is named twice."""
    for jid in (1, 2, 3):
        server.done(jid, f"r{jid}")

    assert client.result([3, 1, 2, 1]) == ["r3", "r1", "r2", "r1"]


def test_one_request_waits_for_all_that_is_left(server: FakeServer, client: Client) -> None:
    """Each poll names only what has not ended yet, as ranges."""
    requested = []

    def on_wait(request: wire.WaitRequest):
        requested.append(request.jids)
        server.done([2, 1, 3][len(requested) - 1], None)

    server.on_wait = on_wait
    client.result(range(1, 4))

    assert requested == [[(1, 3)], [(1, 1), (3, 3)], [(3, 3)]]


def test_answers_may_come_in_pieces(server: FakeServer, client: Client) -> None:
    """A large map's results arrive over several answers and are put in order."""
    for jid in range(1, 101):
        server.done(jid, jid * jid)
    server.most_outcomes = 7

    assert client.result(range(1, 101)) == [jid * jid for jid in range(1, 101)]


def test_an_error_carries_the_remote_traceback_and_exception(
    server: FakeServer, client: Client
) -> None:
    """The text is one line, the value has the traceback, the cause is the exception itself."""
    server.failed(8, ValueError("no"))

    with pytest.raises(CloudException) as caught:
        client.result(8)

    assert str(caught.value) == "Job 8 failed: ValueError: no"
    assert str(caught.value.value).endswith("ValueError: no")
    assert caught.value.jid == 8
    assert caught.value.status == "error"
    assert caught.value.summary == "ValueError: no"
    assert isinstance(caught.value.__cause__, ValueError)


def test_join_raises_as_well(server: FakeServer, client: Client) -> None:
    """A failed job is an error for join, too, though it requests no results."""
    server.failed(1, ValueError("no"))

    with pytest.raises(CloudException, match="ValueError"):
        client.join(1)

    assert wire.decode(server.sent[0].body, wire.WaitRequest).payloads is False


def test_the_first_error_in_the_order_asked_is_raised(server: FakeServer, client: Client) -> None:
    """Not the first in time, nor the smallest jid."""
    server.failed(1, ValueError("one"))
    server.failed(2, ValueError("two"))

    with pytest.raises(CloudException, match="Job 2"):
        client.result([3 - 1, 1])


def test_an_error_waits_for_the_jobs_before_it_but_not_for_those_after(
    server: FakeServer, client: Client
) -> None:
    """The failure of job 2 is raised once job 1 has ended, while job 3 still runs."""
    server.failed(2, ValueError("two"))
    polls = []

    def on_wait(_: object):
        polls.append(None)
        if len(polls) == 3:
            server.done(1, None)

    server.on_wait = on_wait
    with pytest.raises(CloudException, match="Job 2"):
        client.result([1, 2, 3])

    assert len(polls) == 3


def test_an_earlier_job_that_fails_later_is_the_one_raised(
    server: FakeServer, client: Client
) -> None:
    """Job 2 failed first, but job 1 comes first."""
    server.failed(2, ValueError("two"))
    server.on_wait = lambda _: server.failed(1, ValueError("one"))

    with pytest.raises(CloudException, match="Job 1"):
        client.result([1, 2])


def test_ignored_errors_take_the_place_of_results(server: FakeServer, client: Client) -> None:
    """With ignore_errors a failed job's result is its CloudException, and join does not raise."""
    server.done(1, "one")
    server.failed(2, ValueError("two"))

    result, error = client.result([1, 2], ignore_errors=True)

    assert result == "one"
    assert isinstance(error, CloudException)
    assert (error.jid, error.status) == (2, "error")
    assert isinstance(error.__cause__, ValueError)
    client.join([1, 2], ignore_errors=True)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (wire.Outcome(jid=1, status="killed", cause=Cause.KILLED), "Job 1: killed"),
        (wire.Outcome(jid=1, status="stalled", cause=Cause.DEPENDENCY), "Job 1: dependency failed"),
        (wire.Outcome(jid=1, status="error", cause=Cause.NODE_LOST), "Job 1 failed: node lost"),
        (wire.Outcome(jid=1, status="error", cause=99), "Job 1 failed: error"),
        (
            wire.Outcome(jid=1, status="error", cause=Cause.MEMORY, payload=b"12345678broken"),
            "Job 1 failed: out of memory",
        ),
    ],
)
def test_every_end_without_a_result_names_its_cause(
    server: FakeServer, client: Client, outcome: wire.Outcome, message: str
) -> None:
    """Also where the server sent no text, or text that cannot be read."""
    server.ended[1] = outcome

    with pytest.raises(CloudException, match=message):
        client.result(1)


def test_a_result_pickled_by_another_python_is_refused(server: FakeServer, client: Client) -> None:
    """The message names the difference; nothing is unpickled."""
    server.done(1, "one")
    server.envelope = pack.Envelope("3.99", "3.1.0")

    with pytest.raises(CloudException, match=r"Job 1: .*3\.99"):
        client.result(1)


def test_a_damaged_result_is_an_error_not_a_value(server: FakeServer, client: Client) -> None:
    """A payload whose digest is wrong is never unpickled."""
    server.ended[1] = wire.Outcome(
        jid=1, status="done", cause=0, payload=b"12345678" + result_parcel("x")[8:]
    )

    with pytest.raises(CloudException, match="damaged"):
        client.result(1)


def test_large_results_are_fetched_as_blobs(server: FakeServer, client: Client) -> None:
    """Small ones in one request, a large one by itself; all are checked and put in order."""
    for jid, size in enumerate((10, 500_000, 20, 30), 1):
        parcel = result_parcel(b"x" * size)
        content = content_of(parcel)
        server.blobs[content.digest] = parcel
        server.ended[jid] = wire.Outcome(
            jid=jid, status="done", cause=0, payload=None, blob=content
        )

    assert [len(value) for value in client.result(range(1, 5))] == [10, 500_000, 20, 30]
    assert "POST /v1/blobs/read" in server.paths()


def test_a_blob_with_other_bytes_is_refused(server: FakeServer, client: Client) -> None:
    """What arrives under a digest must have it."""
    content = content_of(b"right")
    server.blobs[content.digest] = b"wrong"
    server.ended[1] = wire.Outcome(jid=1, status="done", cause=0, payload=None, blob=content)

    with pytest.raises(CloudException, match="damaged"):
        client.result(1)


def test_too_late_names_how_many_are_unfinished(server: FakeServer, client: Client) -> None:
    """The timeout says how many of how many jobs have not ended."""
    server.done(1, None)

    with pytest.raises(CloudTimeoutError, match="2 of 3 jobs are unfinished after 0 s") as caught:
        client.result([1, 2, 3], timeout=0)

    assert list(caught.value.jid) == [2, 3]


def test_too_late_for_one_job_names_it(server: FakeServer, client: Client) -> None:
    """A single job's timeout carries its jid."""
    with pytest.raises(CloudTimeoutError, match="Job 5: unfinished") as caught:
        client.join(5, timeout=0)

    assert caught.value.jid == 5


def test_a_timeout_of_zero_still_looks(server: FakeServer, client: Client) -> None:
    """What has ended already is answered however short the time."""
    server.done(1, "one")

    assert client.result(1, timeout=0) == "one"


@pytest.mark.parametrize("wrong", [-1, "5", True, float("nan")])
def test_a_timeout_is_seconds(client: Client, wrong: Any) -> None:
    """Anything but a number of seconds is refused."""
    with pytest.raises(CloudException, match="timeout must be seconds"):
        client.result(1, timeout=wrong)


def test_no_poll_is_longer_than_the_server_holds_it(server: FakeServer, client: Client) -> None:
    """A long timeout is many polls."""
    server.on_wait = lambda _: server.done(1, None)

    client.result(1, timeout=1e9)

    sent = server.sent[0]
    hold_s = wire.decode(sent.body, wire.WaitRequest).timeout_s
    assert hold_s == wire.LONGEST_POLL_S
    assert sent.timeout_s == hold_s + 10


def test_interrupting_a_wait_leaves_the_jobs_alone(server: FakeServer, client: Client) -> None:
    """Ctrl-C comes out as it is; nothing is killed, and the client goes on."""

    def interrupt(_: object):
        raise KeyboardInterrupt

    server.on_wait = interrupt
    with pytest.raises(KeyboardInterrupt):
        client.result(1)

    server.on_wait = lambda _: server.done(1, "one")
    assert client.result(1) == "one"
    assert server.killed == []


def test_progress_is_reported(server: FakeServer, client: Client) -> None:
    """A progress bar receives the number of ended jobs and the number of all."""
    progress = []
    for jid in range(1, 5):
        server.done(jid, None)
    server.most_outcomes = 2

    blobs = BlobClient(client.transport)
    waiter = Waiter(
        client.transport, blobs, Packer(blobs.fetch), config=Config(), clock=time.monotonic
    )
    waiter.until_ended(
        range(1, 5),
        WaitOptions(on_progress=lambda ended, total, _: progress.append((ended, total))),
    )

    assert progress == [(2, 4), (4, 4)]


def test_many_results_take_little_memory(server: FakeServer) -> None:
    """100,000 small results are kept as values in one list, and nothing else of them."""
    payload = result_parcel(None)
    server.on_wait = lambda request: server.ended.update(
        {
            jid: wire.Outcome(jid=jid, status="done", cause=0, payload=payload)
            for jid in range(request.jids[0][0], request.jids[0][0] + 10_000)
        }
    )
    client = client_for(server)

    found = client.result(range(1, 50_001))
    server.ended.clear()
    server.sent.clear()
    tracemalloc.start()
    found = client.result(range(50_001, 100_001))
    server.ended.clear()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(found) == 50_000
    assert size < 8_000_000


def test_errors_of_a_map_are_counted(server: FakeServer, client: Client) -> None:
    """The error says how many of the jobs failed so far, and for which item the first did."""
    server.next_jid = 8
    for jid in (1, 2, 4):
        server.done(jid, None)
    server.failed(3, ValueError("no"))
    server.failed(5, ValueError("no"))
    server.ended[6] = wire.Outcome(jid=6, status="killed", cause=Cause.KILLED)

    with pytest.raises(CloudException) as unfinished:
        client.result(range(1, 8))
    with pytest.raises(CloudException) as several:
        client.result(range(2, 7))
    with pytest.raises(CloudException) as one:
        client.result([1, 3])

    assert str(unfinished.value) == (
        "3 of 7 jobs failed so far, 1 has not ended, first item 2: Job 3 failed: ValueError: no"
    )
    assert str(several.value) == "3 of 5 jobs failed, first item 1: Job 3 failed: ValueError: no"
    assert str(one.value) == "1 of 2 jobs failed, item 1: Job 3 failed: ValueError: no"
    assert (several.value.jid, several.value.summary) == (3, "ValueError: no")


def test_errors_are_raised_though_they_cannot_be_counted(
    server: FakeServer, client: Client
) -> None:
    """What failed is more important than how often."""
    server.failed(1, ValueError("no"))
    server.next_jid = 2  # there is no job 2, so that its status is an error

    with pytest.raises(CloudException, match=r"^item 0: Job 1 failed: ValueError: no$"):
        client.result([1, 2])
