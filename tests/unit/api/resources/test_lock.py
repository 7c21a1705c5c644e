"""`/v1/locks`: who waits for a lock, and no longer does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import falcon.testing
from picloud_api.resources.hang_up import RECEIVE
from picloud_model import wire
from picloud_model.wire.lock import AcquireLockRequest, LockAcquired, ReleaseLockRequest

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


def asked(timeout_s: float = 0.0) -> AcquireLockRequest:
    """Return a request for the lock, by a new holder."""
    return AcquireLockRequest(name="db", hold=uuid4().hex, tokens=1, timeout_s=timeout_s)


async def test_a_client_that_dies_while_it_waits_is_not_given_the_lock(
    api: ApiHarness, http: HttpApi
) -> None:
    """The next one in the line gets it; before, it was held for the dead one for 6 seconds."""
    first, dead = asked(), asked(timeout_s=20)
    await http.post("/v1/locks", first, LockAcquired)
    unread = [{"type": "http.request", "body": wire.encode(dead), "more_body": False}]
    died = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if unread:
            return unread.pop()
        await died.wait()
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        """The answer is not read."""

    headers = {"Content-Type": wire.MSGPACK, "Authorization": f"Bearer {api.server.key}"}
    scope = falcon.testing.create_scope("/v1/locks", "POST", headers=headers)
    scope[RECEIVE] = receive
    answered = asyncio.create_task(http.app(scope, receive, send))
    died.set()
    await answered

    waiting = asyncio.create_task(http.post("/v1/locks", asked(timeout_s=20), LockAcquired))
    given_back = ReleaseLockRequest(name="db", hold=first.hold)
    await http.post("/v1/locks/release", given_back, wire.Answer)
    assert (await waiting).fence == 2
