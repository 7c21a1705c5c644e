"""Bytes in flight: large requests wait for room, and one account leaves room for the others."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from picloud_api.engine.process.turns import Turns
from picloud_api.resources.in_flight import IN_FLIGHT, BytesInFlight, Hold, RequestsInFlight
from picloud_model.errors import AccountBusy

if TYPE_CHECKING:
    from tests.unit.api.http_api import HttpApi


class NoTrail:
    """Records nothing."""

    async def record(self, request: Any, values: Any) -> None:
        """Leave it out."""

    async def end(self, request: Any) -> None:
        """Leave it out."""


async def test_a_request_waits_for_room() -> None:
    """Once another request of the sender is answered, it goes on."""
    counted = BytesInFlight(100, 60)
    first, second = Hold(counted, "a"), Hold(counted, "a")
    await counted.add(first, 50)
    waiting = asyncio.create_task(counted.add(second, 50))
    await asyncio.sleep(0.05)

    assert not waiting.done()
    del first
    await waiting

    assert counted.total == 50


async def test_one_account_leaves_room_for_others() -> None:
    """A sender at its bound is refused after a while; another one is not."""
    counted = BytesInFlight(100, 60, wait_s=0.05)
    own, others = Hold(counted, "a"), Hold(counted, "b")
    await counted.add(own, 60)

    with pytest.raises(AccountBusy):
        await counted.add(own, 1)
    await counted.add(others, 40)

    assert counted.total == 100


async def test_requests_get_room_in_their_order_if_it_is_enough() -> None:
    """One that needs more does not keep smaller ones of other senders waiting."""
    counted = BytesInFlight(100, 60)
    first, large, small = (Hold(counted, sender) for sender in "aab")
    await counted.add(first, 50)
    waiting = asyncio.create_task(counted.add(large, 60))
    await asyncio.sleep(0)

    await counted.add(small, 30)

    first.keep(0)
    await asyncio.sleep(0)
    assert counted.total == 90
    await waiting


async def test_bytes_that_are_no_longer_needed_make_room() -> None:
    """Fewer bytes than were counted before they were known."""
    counted = BytesInFlight(100, 60)
    hold = Hold(counted, "a")
    await counted.add(hold, 60)

    hold.keep(10)
    hold.keep(50)

    assert counted.total == hold.size == 10


async def test_a_request_that_gives_up_leaves_no_bytes() -> None:
    """Whether it was cancelled before there was room, or in the same moment."""
    counted = BytesInFlight(100, 60)
    first, second = Hold(counted, "a"), Hold(counted, "a")
    await counted.add(first, 60)
    waiting = [asyncio.create_task(counted.add(second, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)

    first.keep(0)
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)

    assert counted.total == 0


async def test_the_requests_of_an_account_have_a_bound() -> None:
    """Those of others do not count, and an answered one makes room."""
    requests = RequestsInFlight(2, Turns(), NoTrail())

    async def begin(sender: str) -> Any:
        request: Any = SimpleNamespace(context=SimpleNamespace(sender=sender))
        await requests.process_request(request, request)
        requests.begin(request)
        return request

    first, _ = await begin("a"), await begin("a")
    with pytest.raises(AccountBusy, match="send fewer at once"):
        await begin("a")
    await begin("b")
    await requests.process_response(first, first, None, succeeded=True)
    await begin("a")


async def test_each_request_is_noted_for_its_account() -> None:
    """Also one of a slot: long work of other accounts makes way for both."""
    noted = list[str]()

    class Noting(Turns):
        def note_request(self, account: str) -> None:
            noted.append(account)

    requests = RequestsInFlight(9, Noting(), NoTrail())
    slot = SimpleNamespace(pool=SimpleNamespace(account="a"))
    for sender in ("b", SimpleNamespace(account="c", jid=7), slot):
        request: Any = SimpleNamespace(context=SimpleNamespace(sender=sender))
        requests.begin(request)

    assert noted == ["b", "c", "a"]


async def test_the_bytes_of_a_refused_request_are_free_at_once(http: HttpApi) -> None:
    """Without a look for cycles, which comes late: nothing that refers to the request stays."""
    body = b'{"jids": [' + b", ".join([b"[1, 1000000]"] * 100_001) + b"]}"
    gc.disable()
    try:
        answer = await http.send(
            "POST", "/v1/jobs/status", body, **{"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
        assert IN_FLIGHT.total == 0
    finally:
        gc.enable()
