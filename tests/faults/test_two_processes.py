"""Two API processes behind one port act as one server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.conftest import starter
from tests.e2e.stack_hashicorp import TwoProcesses
from tests.e2e.stacks import kill
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stacks import Stack

CLIENTS = 8
WAIT_S = 60.0


@pytest.fixture
def twofold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose API is two processes and the master that started them."""
    for start in starter(TwoProcesses, tmp_path_factory):
        yield whole(start())


def whole(stack: Stack) -> Stack:
    """The stack, once its master has both processes."""
    until(lambda: len(stack.api()) == 3, "both processes are there")
    return stack


def test_many_clients_of_two_processes(twofold: Stack) -> None:
    """Clients with connections of their own call, map, query and wait, and get the same from both
    processes: jids are taken once, and every result is right.
    """

    def use(number: int) -> list[int]:
        client = twofold.client()
        jid = client.call(abs, -number)
        jids = client.map(pow, range(100), [2] * 100)
        assert client.result(jid, WAIT_S) == number
        assert client.result(jids, WAIT_S) == [item**2 for item in range(100)]
        assert set(client.status(jids)) == {"done"}
        client.close()
        return [jid, *jids]

    with ThreadPoolExecutor(CLIENTS) as threads:
        taken = [jid for jids in threads.map(use, range(CLIENTS)) for jid in jids]

    assert sorted(taken) == list(range(1, CLIENTS * 101 + 1))


def test_connections_of_an_account_come_together(twofold: Stack) -> None:
    """After a few calls the connections of all clients of an account are in one process; and again
    after that process has died and was replaced.
    """
    clients = [twofold.client(patient=True) for _ in range(CLIENTS)]

    def together() -> psutil.Process | None:
        for number, client in enumerate(clients):
            assert client.result(client.call(abs, -number), WAIT_S) == number
        mine = {own.laddr.port for own in psutil.Process().net_connections() if own.raddr}
        homes = [
            worker
            for worker in twofold.api()[1:]
            if any(other.raddr and other.raddr.port in mine for other in worker.net_connections())
        ]
        return homes[0] if len(homes) == 1 else None

    home = until(together, "all connections are in one process")
    kill(home)
    whole(twofold)
    until(together, "all connections are in one process again")
    for client in clients:
        client.close()


def test_one_of_two_processes_dies_in_the_middle_of_a_map(twofold: Stack) -> None:
    """Each process in turn is killed and replaced during a map: nothing is lost, nothing runs
    twice.
    """
    ledger = Ledger(twofold)
    ledger.submit(3000, 0.002)

    for kills in (1, 2):
        ledger.until_executed(1000 * kills)
        worker = twofold.api()[kills]
        kill(worker)
        whole(twofold)

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_total == 3000
