"""`cloud.Executor`: what a future asks for, and what is refused."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTypeError

from tests.polling import until

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


pytestmark = pytest.mark.usefixtures("as_current")


def test_a_result_takes_the_requests_of_a_call(server: FakeServer) -> None:
    """One to submit and one to wait; no thread asks besides."""
    executor = cloud.Executor()
    server.next_jid = 7
    server.done(7, 49)

    assert executor.submit(pow, 7, 2).result() == 49

    assert [path.rpartition("/")[2] for path in server.paths()] == ["jobs", "wait"]


def test_dask_finds_what_it_uses(server: FakeServer) -> None:
    """Its `scheduler=` takes executors that say how many tasks to submit, and calls back."""
    executor, called = cloud.Executor(max_workers=3), []
    server.next_jid = 7
    server.done(7, 49)

    assert isinstance(executor, concurrent.futures.Executor)
    assert executor._max_workers == 3
    assert cloud.Executor()._max_workers >= 1
    future = executor.submit(pow, 7, 2)
    future.add_done_callback(called.append)
    until(lambda: called == [future], "the callback was called")


def test_a_map_is_one_submit_and_few_waits(server: FakeServer) -> None:
    """Results arrive a thousand in a request; no job has a request, or a future, of its own."""
    for jid in range(1, 2501):
        server.done(jid, jid)

    assert list(cloud.Executor().map(abs, range(2500))) == list(range(1, 2501))

    names = [path.rpartition("/")[2] for path in server.paths()]
    assert names == ["jobs", "wait", "wait", "wait"]


def test_keyword_arguments_are_the_function_s(server: FakeServer) -> None:
    """Options are given to the executor, so that none is taken for one."""
    cloud.Executor(_label="x").submit(dict, _label=1)

    assert server.batch().options.label == "x"
    assert server.arguments() == [((), {"_label": 1})]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"label": "x"}, {"_labl": "x"}, {"initializer": 7}, {"mp_context": None}),
        *({"max_workers": 0}, {"max_workers": -1}, {"max_workers": "4 of them"}),
    ],
)
def test_bad_arguments_are_refused(wrong: dict[str, Any]) -> None:
    """When the executor is made; no frame of the SDK is shown."""
    with pytest.raises((CloudException, CloudTypeError)) as caught:
        cloud.Executor(**wrong)

    assert len(caught.traceback) == 1
