"""Account affinity: which process owns an account, and how connections get there."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from picloud_api.server.affinity import GONE_S, AccountAffinity

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the processes."""
    return Clock()


@pytest.fixture
def affinity(clock: Clock) -> Iterator[AccountAffinity]:
    """Four live processes."""
    found = AccountAffinity(4, clock)
    for number in range(4):
        found.heartbeat(number)
    yield found
    found.close()


def test_accounts_are_spread_over_processes(affinity: AccountAffinity) -> None:
    """Each process owns about as many accounts as any other."""
    found = Counter(affinity.owner_of(f"a{number:07d}") for number in range(4000))

    assert set(found) == {0, 1, 2, 3}
    assert min(found.values()) > 800


def test_an_account_moves_only_when_its_owner_has_ended(
    affinity: AccountAffinity, clock: Clock
) -> None:
    """When a process ends, or has no heartbeat, the accounts of the others stay where they are."""
    accounts = [f"a{number:07d}" for number in range(100)]
    before = {account: affinity.owner_of(account) for account in accounts}

    affinity.leave(2)
    left = {account: affinity.owner_of(account) for account in accounts}
    assert all(left[account] == before[account] for account in accounts if before[account] != 2)
    assert 2 not in left.values()

    affinity.heartbeat(2)
    assert {account: affinity.owner_of(account) for account in accounts} == before
    clock.now += GONE_S
    assert {affinity.owner_of(account) for account in accounts} == {None}


def test_a_connection_goes_on_in_another_process(affinity: AccountAffinity) -> None:
    """What the client sent while its connection moved is read by the process that got it."""
    client, server = socket.socketpair()
    with closing(client):
        assert affinity.send(1, server.fileno(), 3)
        server.close()
        client.sendall(b"hello")

        assert affinity.receive(0) is None
        found = affinity.receive(1)
        assert found is not None
        with closing(found[0]):
            assert (found[0].recv(5), found[1]) == (b"hello", 3)
        assert affinity.receive(1) is None


def test_connections_to_a_process_that_ended_are_closed(affinity: AccountAffinity) -> None:
    """Their clients notice at once, and connect again."""
    client, server = socket.socketpair()
    with closing(client):
        affinity.send(1, server.fileno(), 1)
        server.close()

        affinity.refuse(1)

        assert client.recv(1) == b""
        assert affinity.owner_of("a0000001") != 1


def test_a_connection_stays_when_too_many_are_on_their_way(affinity: AccountAffinity) -> None:
    """A process that accepts no connections does not block another one, and none is lost."""
    client, server = socket.socketpair()
    with closing(client), closing(server):
        sent = 0
        while sent < 100_000 and affinity.send(1, server.fileno(), 1):
            sent += 1
        affinity.refuse(1)

        assert 0 < sent < 100_000
        assert affinity.send(1, server.fileno(), 1)
        affinity.refuse(1)
