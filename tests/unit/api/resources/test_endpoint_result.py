"""Results of calls: as responses, with or without the jid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon.asgi
import msgspec
from picloud_api.resources.endpoint_result import write_result
from picloud_api.usecases.rest.call_result import CallResult, LargeCallResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def pieces() -> AsyncIterator[bytes]:
    """Yield what is sent."""
    yield b"<>"


def test_a_value_is_sent_with_the_jid() -> None:
    """So is the jid of a job that has no result yet, with another status."""
    done, pending = falcon.asgi.Response(), falcon.asgi.Response()

    write_result(done, 7, CallResult(b"[1]", "application/json", is_value=True))
    write_result(pending, 7, None)

    assert (done.status_code, msgspec.json.decode(done.data or b"")) == (
        200,
        {"jid": 7, "result": [1], "version": "0.1"},
    )
    assert (pending.status_code, msgspec.json.decode(pending.data or b"")) == (
        202,
        {"jid": 7, "version": "0.1"},
    )


async def test_other_results_are_sent_as_they_are() -> None:
    """A browser does not take them for pages of this server, whatever they are."""
    small, large, unknown = (falcon.asgi.Response() for _ in range(3))

    write_result(small, 7, CallResult(b"<>", "text/html"))
    write_result(large, 7, LargeCallResult(pieces(), 2, "text/html"))
    write_result(unknown, 7, LargeCallResult(pieces(), None, "text/html"))

    assert small.data == b"<>"
    for response in (large, unknown):
        assert response.stream is not None
        assert [piece async for piece in response.stream] == [b"<>"]
    assert large.get_header("Content-Length") == "2"
    assert unknown.get_header("Content-Length") is None
    for response in (small, large, unknown):
        assert response.content_type == "text/html"
        assert response.get_header("Content-Security-Policy") == "sandbox"
        assert response.get_header("X-Content-Type-Options") == "nosniff"
