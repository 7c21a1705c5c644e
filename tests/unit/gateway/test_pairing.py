"""Which connections become a stream, and what ends those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_gateway.pairing import HANDSHAKE_S, MOST_CONNECTIONS, MOST_WITHOUT_TICKET, Pairing
from picloud_model.wire.tunnel import PAIRING_S
from picloud_model.wire.tunnel_ticket import TICKET_S, StreamEnd, TunnelTicket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from picloud_gateway.pairing import End

SECRET = bytes(32)
NOW = 1000.0


class Connection:
    """One end, which records what is done with it."""

    def __init__(self) -> None:
        self.refused = ""
        self.aborted = False

    def detach(self) -> socket.socket:
        raise AssertionError

    def refuse(self, reason: str) -> None:
        self.refused = reason

    def abort(self) -> None:
        self.aborted = True


class Timers:
    """Calls that are due later, which a test makes."""

    def __init__(self) -> None:
        self.due: list[Due] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Due:
        self.due.append(Due(delay, call))
        return self.due[-1]

    def run(self, delay: float) -> None:
        """Make all calls with a delay that were not cancelled."""
        for each in self.due:
            if each.delay == delay and not each.cancelled:
                each.call()


class Due:
    """One of them."""

    def __init__(self, delay: float, call: Callable[[], None]) -> None:
        self.delay = delay
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Gateway:
    """A pairing with a clock and timers of the test, and the streams that it has made."""

    def __init__(self) -> None:
        self.now = NOW
        self.timers = Timers()
        self.streams: list[tuple[End, End]] = []
        self.pairing = Pairing(
            SECRET,
            lambda: self.now,
            self.timers.call_later,
            carry=lambda one, other: self.streams.append((one, other)),
            count=lambda: 2 * len(self.streams),
        )

    def present(self, stream: int, end: StreamEnd) -> Connection:
        """Return a connection that has sent a ticket."""
        connection = Connection()
        self.pairing.add(connection)
        until = int(self.now) + TICKET_S
        self.pairing.present(connection, TunnelTicket(f"{stream:032x}", end, until).signed(SECRET))
        return connection


@pytest.fixture
def gateway() -> Gateway:
    """A gateway without connections."""
    return Gateway()


def test_both_ends_are_a_stream(gateway: Gateway) -> None:
    """In either order; no timer of theirs is left."""
    for stream, order in enumerate(([StreamEnd.CLIENT, StreamEnd.SLOT], [*StreamEnd][::-1])):
        first, second = (gateway.present(stream, end) for end in order)
        assert gateway.streams[-1] == (second, first)

    assert all(each.cancelled for each in gateway.timers.due)


def test_an_end_whose_other_end_does_not_come_is_refused(gateway: Gateway) -> None:
    """With a sentence; the ticket is used up, as a late end would wait in vain."""
    client, slot = gateway.present(1, StreamEnd.CLIENT), gateway.present(2, StreamEnd.SLOT)

    gateway.timers.run(PAIRING_S)

    assert client.refused == "The slot of the job did not connect within 10 s."
    assert slot.refused == "The client did not connect within 10 s."
    assert gateway.present(1, StreamEnd.SLOT).refused == ""
    assert gateway.streams == []
    assert gateway.present(1, StreamEnd.CLIENT).refused.startswith("The ticket is not valid")


def test_of_connections_without_a_ticket_the_oldest_are_closed(gateway: Gateway) -> None:
    """One that sends its ticket is not among them; the others have a few seconds."""
    strangers = [Connection() for _ in range(MOST_WITHOUT_TICKET)]
    for each in strangers:
        gateway.pairing.add(each)
    gateway.present(1, StreamEnd.CLIENT)
    gateway.present(1, StreamEnd.SLOT)

    assert [each.aborted for each in strangers] == [True] + [False] * (MOST_WITHOUT_TICKET - 1)
    assert len(gateway.streams) == 1

    gateway.timers.run(HANDSHAKE_S)
    assert all(each.aborted for each in strangers)


def test_a_gateway_that_is_full_says_so(gateway: Gateway) -> None:
    """Streams that it carries go on."""
    gateway.streams += [(Connection(), Connection())] * (MOST_CONNECTIONS // 2)

    late = Connection()
    gateway.pairing.add(late)

    assert late.refused == "The gateway carries 2048 streams already."


def test_used_tickets_are_forgotten_once_they_have_expired(gateway: Gateway) -> None:
    """What is kept of them is bounded by the streams of a minute."""
    for second in range(10):
        gateway.now = NOW + second * TICKET_S
        for number in range(20):
            gateway.present(20 * second + number, StreamEnd.CLIENT)

    assert len(gateway.pairing._used) <= 40


def test_a_connection_that_ends_while_it_waits_is_forgotten(gateway: Gateway) -> None:
    """Its other end is refused after a while."""
    client = gateway.present(1, StreamEnd.CLIENT)
    gateway.pairing.remove(client)

    slot = gateway.present(1, StreamEnd.SLOT)
    gateway.timers.run(PAIRING_S)

    assert gateway.streams == []
    assert slot.refused == "The client did not connect within 10 s."


def test_a_public_client_may_be_dropped(gateway: Gateway) -> None:
    """It needs no ticket, and is refused when no slot will come."""
    client = Connection()
    gateway.pairing.expect_slot(client, "a")

    gateway.pairing.drop("a")
    gateway.pairing.drop("a")

    assert client.refused
    assert not gateway.pairing._waiting
