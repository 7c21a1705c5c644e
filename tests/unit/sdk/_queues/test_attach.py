"""Attaching: what is wrong with a handler or its options is said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud._queues.attach import AttachOptions, attach
from cloud.errors import CloudException

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.unit.sdk.fake_server import FakeServer


def identity(message: Any) -> Any:
    """Return a message."""
    return message


class Handler:
    """An object that handles messages."""

    def message_handler(self, message: Any) -> Any:
        """Return a message."""
        return message


@pytest.mark.parametrize(
    ("handler", "chosen", "message"),
    [
        (lambda x, y: x, {}, "A handler gets one argument, the message: .* missing"),
        (7, {}, "A handler is a function of a message"),
        (Handler, {}, "A handler is a function of a message"),
        (identity, {"output_queues": "q"}, "push into its own queue; pass allow_cycle=True"),
        (identity, {"output_queues": 7}, "output_queues takes a queue or a list"),
        (identity, {"output_queues": ["o"] * 51}, "at most 50 output queues"),
        (identity, {"retry_on": OSError}, "retry_on needs max_retries and retry_delay"),
        (identity, {"on_error": OSError}, "on_error takes a dict"),
        (identity, {"on_error": {OSError: {"q": "bad"}}}, "on_error takes {'queue': ...}"),
        (identity, {"on_error": {int: "bad"}}, "on_error takes classes of exceptions"),
        (identity, {"readers_per_job": 0}, "readers_per_job is 1 to 128"),
        (identity, {"_max_parallel_jobs": 0}, "max_parallel_jobs is 1 to 1,000"),
        (identity, {"_depends_on": 1}, "leave out _depends_on"),
        (identity, {"parallel": 2}, "attach has no argument parallel"),
        (identity, {"_cores": 3}, "_cores"),
    ],
)
def test_bad_arguments_are_refused(
    client: Client,
    server: FakeServer,
    handler: Any,
    chosen: dict[str, Any],
    message: str,
) -> None:
    """Nothing is sent to the server."""
    fields = AttachOptions.__struct_fields__
    own = {name: value for name, value in chosen.items() if name in fields}
    rest = {name: value for name, value in chosen.items() if name not in fields}
    with pytest.raises(CloudException, match=message):
        attach(client, "q", handler, AttachOptions(**own), rest)

    assert server.sent == []
