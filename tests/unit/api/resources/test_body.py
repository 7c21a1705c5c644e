"""Long requests: their credential is checked again, in case it was revoked meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from picloud_api.resources.body import LASTING_S, authenticate, read_bytes, write_body
from picloud_model import wire
from picloud_model.errors import KeyRefused, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcon.asgi import Request, Response


class OneKey:
    """Accepts one key until it is revoked, and counts the checks."""

    def __init__(self) -> None:
        self.active, self.checks = True, 0

    async def recognise(self, credential: str) -> str:
        """Return the account of the key."""
        self.checks += 1
        if not self.active or credential != "good":
            raise KeyRefused
        return "a1"


class SlowRequest:
    """A request whose body arrives in the given time."""

    content_length, content_type, accept = 2, wire.JSON, wire.JSON

    def __init__(self, body_s: float = 0.0) -> None:
        self.context = SimpleNamespace()
        self.scope: dict[str, Any] = {}
        self.stream = self
        self.age_s = 0.0
        self._body_s = body_s

    def get_header(self, name: str) -> str:
        """Return the credential."""
        return "Bearer good"

    async def read(self) -> bytes:
        """Return the body."""
        self.age(self._body_s)
        return b"{}"

    def age(self, seconds: float) -> None:
        """Let time pass, as it seems to the request."""
        self.age_s += seconds
        self.context.check.made_at -= seconds


async def serve(key: OneKey, request: SlowRequest, wait: Callable[[], None]) -> Any:
    """Serve a request as a resource does: authenticate, read, wait, reply."""
    response = SimpleNamespace(content_type="", data=None)
    sent = cast("Request", request)
    assert await authenticate(sent, key.recognise) == "a1"
    await read_bytes(sent)
    wait()
    await write_body(sent, cast("Response", response), wire.Answer())
    return response


async def test_a_short_request_is_checked_once() -> None:
    """A request of less than two seconds costs one check, even if its key is revoked meanwhile."""
    key, request = OneKey(), SlowRequest()

    def wait() -> None:
        request.age(LASTING_S - 0.5)
        key.active = False

    assert (await serve(key, request, wait)).data is not None
    assert key.checks == 1


async def test_a_long_request_is_checked_again() -> None:
    """It gets a reply while the key is active, and none once the key is revoked."""
    key, request = OneKey(), SlowRequest()

    assert (await serve(key, request, lambda: request.age(LASTING_S))).data is not None
    assert key.checks == 2

    def wait_until_revoked() -> None:
        request.age(LASTING_S)
        key.active = False

    with pytest.raises(KeyRefused):
        await serve(key, request, wait_until_revoked)


async def test_a_body_that_arrives_slowly_is_not_used() -> None:
    """A connection that was opened before its key was revoked creates no job after that."""
    key, request = OneKey(), SlowRequest(body_s=600.0)
    sent = cast("Request", request)
    await authenticate(sent, key.recognise)
    key.active = False

    with pytest.raises(KeyRefused):
        await read_bytes(sent)


async def test_a_body_that_is_too_large_is_refused_unread() -> None:
    """The declared length is enough: no byte of the body is read."""
    key, request = OneKey(), SlowRequest(body_s=600.0)
    sent = cast("Request", request)
    await authenticate(sent, key.recognise)

    with pytest.raises(TooLarge, match="larger than 0 KiB"):
        await read_bytes(sent, limit=1)

    assert request.age_s == 0.0
