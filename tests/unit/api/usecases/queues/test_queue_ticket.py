"""Tickets: only those that the server signed for a queue are accepted there."""

from __future__ import annotations

import pytest
from picloud_api.usecases.queues.queue_ticket import TicketContent, TicketSigner
from picloud_driver.queue import DeliveryId
from picloud_model.errors import RequestRefused

CONTENT = TicketContent(DeliveryId(7, 2, "c1"), "0" * 64)


def test_a_ticket_is_read_as_it_was_signed() -> None:
    """It has no character that a URL or a shell would change."""
    signer = TicketSigner(b"key")
    others = TicketContent(DeliveryId(8, 1))
    tickets = signer.sign("a0000001-1", [CONTENT, others])

    assert signer.read("a0000001-1", tickets) == [CONTENT, others]
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
    assert {*"".join(tickets)} <= {*letters}


@pytest.mark.parametrize("position", [0, 5, 30, -1])
def test_a_changed_ticket_is_refused(position: int) -> None:
    """Wherever it was changed."""
    signer = TicketSigner(b"key")
    tickets = signer.sign("a0000001-1", [CONTENT] * 4)
    changed = [*tickets[3]]
    changed[position] = "0" if changed[position] != "0" else "1"

    with pytest.raises(RequestRefused, match="Ticket 3 was not given out"):
        signer.read("a0000001-1", [*tickets[:3], "".join(changed)])


@pytest.mark.parametrize("ticket", ["x", "A" * 400, "AAAAAAAAAAAAAAAAAAAAAAAA"])
def test_an_invented_ticket_is_refused(ticket: str) -> None:
    """Of whatever length."""
    with pytest.raises(RequestRefused):
        TicketSigner(b"key").read("a0000001-1", [ticket])


def test_a_ticket_is_of_one_queue_and_one_server() -> None:
    """Another queue, or a server with another key, refuses it."""
    tickets = TicketSigner(b"key").sign("a0000001-1", [CONTENT])

    for signer, queue in ((TicketSigner(b"key"), "a0000001-2"), (TicketSigner(b"k"), "a0000001-1")):
        with pytest.raises(RequestRefused):
            signer.read(queue, tickets)
