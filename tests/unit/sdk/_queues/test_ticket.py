"""Tickets: one or a list of them, and the error for those that expired."""

from __future__ import annotations

import pytest
from cloud._queues.ticket import MessageTicket, refuse_expired, tickets_of
from cloud.errors import CloudException
from cloud.queue import CloudQueue


def test_a_ticket_is_a_list_of_one() -> None:
    """Something else is refused."""
    ticket = MessageTicket(CloudQueue("q"), "message", "text", 0.0)

    assert tickets_of(ticket) == tickets_of([ticket]) == ["text"]
    assert ticket.time_until_deadline() < 0
    with pytest.raises(CloudException, match="a list of tickets from pop_tickets"):
        tickets_of(7)


def test_expired_tickets_are_an_error() -> None:
    """It says how many."""
    refuse_expired(set(), 2)
    with pytest.raises(CloudException, match="1 of 2 tickets are no longer valid"):
        refuse_expired({1}, 2)
