"""Long requests: a client whose credential ended meanwhile is not believed, and learns nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from picloud_api.resources import body
from picloud_model import wire
from picloud_model.errors import KeyRefused

if TYPE_CHECKING:
    from falcon.asgi import Request, Response


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


class Door:
    """Knows one key, and counts who asks for it."""

    def __init__(self) -> None:
        self.open, self.asked = True, 0

    async def recognise(self, credential: str) -> str:
        """The account of a key."""
        self.asked += 1
        if not self.open or credential != "good":
            raise KeyRefused
        return "a1"


class Sent:
    """A request whose body takes as long as a test says."""

    content_length, content_type, accept = 2, wire.JSON, wire.JSON

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self.context = SimpleNamespace()
        self.stream = self
        self._clock, self._seconds = clock, seconds

    def get_header(self, name: str) -> str:
        """Its credential."""
        return "Bearer good"

    async def read(self) -> bytes:
        """Its body."""
        self._clock.now += self._seconds
        return b"{}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the requests."""
    made = Clock()
    monkeypatch.setattr(body, "time", made)
    return made


async def served(door: Door, request: Any, wait: Any = lambda: None) -> Any:
    """What a resource does: admit, read, wait, answer."""
    response = SimpleNamespace(content_type="", data=None)
    sent = cast("Request", request)
    assert await body.authenticate(sent, door.recognise) == "a1"
    await body.read_bytes(sent)
    wait()
    await body.write_body(sent, cast("Response", response), wire.Answer())
    return response


async def test_a_short_request_asks_once(clock: Clock) -> None:
    """What takes under two seconds costs no second look, though the key ended meanwhile."""
    door = Door()

    def wait() -> None:
        clock.now += 1.9
        door.open = False

    assert (await served(door, Sent(clock), wait)).data is not None
    assert door.asked == 1


async def test_a_wait_that_lasted_asks_again(clock: Clock) -> None:
    """It is answered while the key is good, and told nothing when it is not."""
    door = Door()

    def wait() -> None:
        clock.now += 2.0

    assert (await served(door, Sent(clock), wait)).data is not None
    assert door.asked == 2

    def revoked() -> None:
        wait()
        door.open = False

    with pytest.raises(KeyRefused):
        await served(door, Sent(clock), revoked)


async def test_a_body_sent_slowly_is_not_believed(clock: Clock) -> None:
    """A connection opened before the end of a key makes no job after it."""
    door = Door()
    request = Sent(clock, 600.0)
    sent = cast("Request", request)
    await body.authenticate(sent, door.recognise)
    door.open = False

    with pytest.raises(KeyRefused):
        await body.read_bytes(sent)
