"""`cloud.stream`: what it submits, and what its job does with what the function returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, CloudTypeError
from cloud._futures.stream import yield_values

from tests.current_client import current_client
from tests.unit.sdk.fake_server import client_for
from tests.unit.sdk.stream_server import StreamServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def server() -> Iterator[StreamServer]:
    """A server with an empty stream, which the functions of `cloud` talk to."""
    server = StreamServer()
    with current_client(client_for(server)):
        yield server


def counted(count: int) -> Iterator[int]:
    """Yield numbers; return how many."""
    yield from range(count)
    return count


async def counted_later(count: int) -> AsyncIterator[int]:
    """Yield numbers in an event loop."""
    for number in range(count):
        yield number


def test_the_job_has_the_name_and_the_options_of_its_function(server: StreamServer) -> None:
    """It is one request; the arguments are checked here."""
    values = cloud.stream(counted, count=3, _label="numbers")

    assert repr(values) == "<stream of job 1, at 0>"
    batch = server.batch()
    assert (batch.function_name, batch.options.label) == (f"{__name__}.counted", "numbers")
    assert server.arguments() == [((), {"count": 3})]
    assert server.paths().count("POST /v1/jobs") == 1
    with pytest.raises(CloudTypeError, match="counted"):
        cloud.stream(counted, 1, 2)
    with pytest.raises(CloudException, match="There is no option _labl"):
        cloud.stream(counted, 1, _labl="x")
    with pytest.raises(CloudException):
        cloud.stream(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "returned"), [(counted, 3), (counted_later, None), (range, None)]
)
def test_values_are_added_and_what_is_returned_is_the_result(
    server: StreamServer, function: Any, returned: Any
) -> None:
    """Of generators, asynchronous ones, and functions that return an iterable."""
    assert yield_values(function, 3) == returned
    assert server.values() == [0, 1, 2]


def test_a_function_without_values_is_refused(server: StreamServer) -> None:
    """The message says what to do."""
    with pytest.raises(CloudTypeError, match="abs returned 1, which has no values to stream: use"):
        yield_values(abs, -1)
    assert server.values() == []
