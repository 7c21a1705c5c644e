"""`cloud.pool_interface`: the functions of a pool, as jobs."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException, CloudTimeoutError, pool_interface

from tests.current_client import current_client
from tests.unit.sdk.fake_server import client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model import wire

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture(autouse=True)
def pool(server: FakeServer) -> Iterator[None]:
    """Let the functions use the fake server."""
    with current_client(client_for(server)):
        yield


def end_all(server: FakeServer, value: Any) -> None:
    """Let each job end with the value of its jid as soon as it is waited for."""

    def end(request: wire.WaitRequest) -> None:
        for jid in range(1, server.next_jid):
            if jid not in server.ended:
                server.done(jid, value(jid))

    server.on_wait = end


def test_a_call_is_a_job(server: FakeServer) -> None:
    """Arguments and keywords are those of the function."""
    end_all(server, lambda jid: jid * 10)

    assert pool_interface.apply(int, ("7",), {"base": 8}) == 10
    assert server.arguments() == [(("7",), {"base": 8})]


def test_a_map_is_a_batch(server: FakeServer) -> None:
    """There is a job for each item, whatever the chunk size, and results are in order."""
    end_all(server, lambda jid: jid * 10)

    assert pool_interface.map(abs, [-1, 2, 3], 2) == [10, 20, 30]
    assert server.arguments() == [((-1,), {}), ((2,), {}), ((3,), {})]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_results_are_iterated_in_order(server: FakeServer, name: str) -> None:
    """The unordered form may have any order, and has this one."""
    end_all(server, lambda jid: jid * 10)

    assert list(getattr(pool_interface, name)(abs, [1, 2])) == [10, 20]


def test_a_result_is_ready_when_its_jobs_have_ended(server: FakeServer) -> None:
    """Before that, whether it succeeded is not known."""
    result = pool_interface.map_async(abs, [1, 2])

    assert not result.ready()
    with pytest.raises(AssertionError, match="have not ended"):
        result.successful()

    server.done(1, 1)
    server.done(2, 2)
    assert result.ready()
    assert result.successful()
    assert result.get() == [1, 2]


def test_a_failed_job_raises_only_where_its_result_is_read(server: FakeServer) -> None:
    """`wait` returns, `successful` is False, `get` raises."""
    result = pool_interface.apply_async(abs, (1,))
    server.failed(1, ValueError("bad"))

    result.wait()

    assert not result.successful()
    with pytest.raises(CloudException, match="bad"):
        result.get()


def test_a_time_out_is_that_of_cloud() -> None:
    """As in the original client, and not that of multiprocessing."""
    result = pool_interface.apply_async(abs, (1,))

    with pytest.raises(CloudTimeoutError):
        result.get(timeout=0)


def test_a_map_takes_no_callback() -> None:
    """The error names what to use instead."""
    with pytest.raises(CloudException, match=r"_callback to cloud\.map"):
        pool_interface.map_async(abs, [1], callback=print)  # type: ignore[arg-type]


def test_errors_begin_with_the_callers_frame() -> None:
    """As those of `cloud` do."""
    unpicklable = (each for each in ())

    with pytest.raises(CloudException) as caught:
        pool_interface.map(abs, [unpicklable])

    assert [frame.name for frame in traceback.extract_tb(caught.tb)] == [
        "test_errors_begin_with_the_callers_frame"
    ]
