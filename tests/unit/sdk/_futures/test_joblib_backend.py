"""The backend of joblib: what needs no job; `tests/e2e/test_joblib.py` runs jobs."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import cloud
import joblib
import pytest
from cloud._futures.joblib_backend import WORKERS, JoblibBackend
from picloud_model.job import MAX_ARGUMENT_BYTES

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._http.exchange import HttpReply, HttpRequest


WAIT_S = 60


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that the current client talks to."""
    found = FakeServer()
    with current_client(client_for(found)):
        yield found


@pytest.mark.parametrize(
    ("n_jobs", "workers"), [(None, 1), (1, 1), (7, 7), (-1, WORKERS), (-2, WORKERS - 1), (-99, 1)]
)
def test_workers_are_counted_as_joblib_does(n_jobs: int | None, workers: int) -> None:
    """Negative numbers count from all workers down; there is always one."""
    assert JoblibBackend(nesting_level=0).effective_n_jobs(n_jobs) == workers


def test_no_workers_are_refused() -> None:
    """As by the backends of joblib."""
    with pytest.raises(ValueError, match="n_jobs == 0 in Parallel has no meaning"):
        JoblibBackend(nesting_level=0).effective_n_jobs(0)


def test_one_worker_is_this_process(server: FakeServer) -> None:
    """Tasks for one worker run here: no request is sent."""
    cloud.register_joblib()

    with joblib.parallel_config("picloud", n_jobs=1):
        results = joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, 2))

    assert (results, server.sent) == ([1, 2], [])


def test_wrong_options_are_refused_before_any_request(server: FakeServer) -> None:
    """An option that does not exist names the one that was meant."""
    cloud.register_joblib()

    with (
        joblib.parallel_config("picloud", lable="x"),
        pytest.raises(cloud.CloudException, match="There is no option _lable; did you mean _label"),
    ):
        joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, 2))
    with pytest.raises(cloud.CloudTypeError, match="default must be True or False, not 1"):
        cloud.register_joblib(default=1)  # type: ignore[arg-type]
    assert server.sent == []


def test_a_batch_of_tasks_may_be_larger_than_one_argument(server: FakeServer) -> None:
    """A job has several of them, so what one job gets is a blob where that is large."""
    backend, half = JoblibBackend(nesting_level=0), bytes(MAX_ARGUMENT_BYTES // 2)

    backend.submit(partial(len, half)).result(WAIT_S)

    ((batch,), _) = server.arguments()[0]
    assert batch() == len(half)
    assert len(server.blobs) == 1
    with pytest.raises(cloud.CloudException, match=r"the limit is 16,000,000; .*\. Read the data"):
        backend.submit(partial(max, half, half + b"x")).result(WAIT_S)
    with cloud.Executor() as executor, pytest.raises(cloud.CloudException, match="1,000,000; "):
        executor.submit(len, half)


class LateServer(FakeServer):
    """Does nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_begin = threading.Event()

    def exchange(self, sent: HttpRequest) -> HttpReply:
        """Wait, then reply."""
        self.may_begin.wait(WAIT_S)
        return super().exchange(sent)


def test_batches_that_are_added_during_a_request_make_one_map() -> None:
    """So joblib, which adds one after the other, waits for none of the requests."""
    backend, server = JoblibBackend(nesting_level=0), LateServer()

    with current_client(client_for(server)):
        sent = [backend.submit(partial(abs, -n)) for n in range(64)]
        server.may_begin.set()
        jobs = [int(each.result(WAIT_S).job) for each in sent]

    assert jobs == [*range(1, 65)]
    assert server.paths().count("POST /v1/jobs") <= 2
    assert sum(batch.count for batch in server.batches.values()) == 64


def test_a_batch_that_cannot_be_sent_ends_the_call(server: FakeServer) -> None:
    """Its error is raised where joblib was called, without a note about a job."""
    cloud.register_joblib()

    with (
        joblib.parallel_config("picloud"),
        pytest.raises(cloud.CloudException, match="Cannot send the arguments") as raised,
    ):
        joblib.Parallel()(joblib.delayed(id)(threading.Lock()) for _ in range(2))
    assert not getattr(raised.value, "__notes__", [])
    assert "POST /v1/jobs" not in server.paths()
