"""Nomad, Consul, Vault, S3 and NATS are killed, one at a time: nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

import pytest
import urllib3
from cloud import queue

from tests.current_client import current_client
from tests.e2e.conftest import starter
from tests.e2e.stack_hashicorp import ThreeProcesses
from tests.e2e.stacks import kill
from tests.faults import kinds
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psutil

    from tests.e2e.stack_hashicorp import HashiCorpStack
    from tests.e2e.stacks import Stack

HANG_S: Final = 25.0
"""Longer than a slot that reports nothing is believed to live."""
SEALED_S: Final = float(os.environ.get("SEALED_S", "5"))
"""How long Vault is sealed."""


@pytest.mark.parametrize("name", ["nomad", "consul", "vault", "versitygw"])
def test_a_server_is_killed_in_the_middle_of_a_map(servers: HashiCorpStack, name: str) -> None:
    """When any one server is killed during a map and started again, each job ends with one correct
    result, and new jobs run.
    """
    ledger = Ledger(servers)
    ledger.submit(2000, 0.003)
    ledger.until_executed(300)

    servers.kill_server(name)
    servers.revive()

    assert ledger.client.result(ledger.client.call(abs, -1), 60) == 1
    totals = ledger.settle()
    assert totals.kept, totals


@pytest.mark.parametrize("name", ["consul", "versitygw", "nomad"])
def test_a_server_hangs_in_the_middle_of_a_map(servers: HashiCorpStack, name: str) -> None:
    """When one server stops answering for longer than a slot's lease, with its connections open, no
    job is lost or becomes an error, and calls go on by themselves afterwards.
    """
    ledger = Ledger(servers)
    ledger.submit(2000, 0.003)
    ledger.until_executed(300)

    for process in servers.server(name):
        process.send_signal(signal.SIGSTOP)
    time.sleep(HANG_S)
    for process in servers.server(name):
        process.send_signal(signal.SIGCONT)

    assert ledger.client.result(ledger.client.call(abs, -1), 60) == 1
    totals = ledger.settle()
    assert totals.kept, totals


def test_no_job_notices_that_vault_is_sealed(servers: HashiCorpStack) -> None:
    """Jobs that run go on, new ones begin, slots start and results are read while Vault is sealed;
    once it is unsealed, secrets are there again.
    """
    client = servers.client(patient=True)
    running = client.map(time.sleep, [SEALED_S] * 2)
    until(lambda: client.status(running) == ["processing"] * 2, "the jobs run")

    kinds.seal(servers)
    for slot in servers.slots():
        kill(slot)  # they run again in slots that start while it is sealed
    ended = client.call(abs, -1)
    client.join(running, 60 + 2 * SEALED_S)
    assert client.result(ended, 60) == 1
    sealed = urllib3.request("GET", f"{servers.url}/v1/health", retries=False).json()
    servers.revive()

    assert [each["port"] for each in sealed["ports"] if not each["healthy"]] == ["secrets"]
    assert client.status(running) == ["done"] * 2
    until(lambda: unhealthy_ports(servers.url) == [], "the API reaches Vault again")
    client.close()


def test_nats_is_killed_among_pushes_and_pops(servers: HashiCorpStack) -> None:
    """Each message whose push has returned is popped, and none is pushed twice; jobs go on."""
    client = servers.client(patient=True)
    with current_client(client):
        q = queue.get("killed")
        for number in range(20):
            q.push([number])
        servers.kill_server("nats-server")
        assert client.result(client.call(abs, -1), 60) == 1
        reviving = threading.Timer(1.0, servers.revive)
        reviving.start()
        q.push(range(20, 40))
        reviving.join()
        popped: list[int] = []
        while len(popped) < 40:
            popped += q.pop(40, timeout=30)

        assert sorted(popped) == list(range(40))
        assert q.info()["count"] == 0
        q.delete()
    client.close()


@pytest.fixture
def threefold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose API is three processes and the master that started them."""
    for start in starter(ThreeProcesses, tmp_path_factory):
        yield start()


@pytest.mark.parametrize("name", ["consul", "vault"])
def test_api_processes_that_start_without_a_server_wait_for_it(
    threefold: ThreeProcesses, name: str
) -> None:
    """One of three API processes is killed while it is away, then the others, too: each new process
    waits for the server, none takes the others along, and the API says what is missing and refuses
    the rest with an error that asks to come again. Then all three serve.
    """
    client = threefold.client(patient=True)
    assert client.result(client.call(abs, -1), 60) == 1

    threefold.kill_server(name)
    missing = [replace(threefold, count) for count in (1, 2)]
    waiting = whole(threefold)
    time.sleep(3)
    assert whole(threefold) == waiting, "processes have ended"
    answer = urllib3.request("POST", f"{threefold.url}/v1/jobs/status", json={}, retries=False)
    threefold.revive()

    assert all({"consul": "state", "vault": "secrets"}[name] in each for each in missing)
    assert answer.status == 503
    assert client.result(client.call(abs, -2), 60) == 2
    assert whole(threefold) == waiting
    client.close()


def replace(stack: ThreeProcesses, count: int) -> list[str]:
    """Kill so many of its API processes, the oldest ones; return which ports it then says are away.

    The others go on, and the killed ones are replaced.
    """
    workers = until(lambda: whole(stack), "there are three processes", 30)
    for worker in workers[:count]:
        kill(worker)
    missing = until(lambda: unhealthy_ports(stack.url), "the API says what is missing", 30)
    until(lambda: whole(stack, workers[count:]), "they are replaced", 30)
    return missing


def whole(
    stack: ThreeProcesses, among: Sequence[psutil.Process] = ()
) -> list[psutil.Process] | None:
    """The processes that serve its API, if all are there, some given ones among them."""
    _, *workers = stack.api()
    is_whole = len(workers) == stack.api_processes and all(each in workers for each in among)
    return workers if is_whole else None


def unhealthy_ports(url: str) -> list[str]:
    """The ports that are away, as a server says that runs without them."""
    try:
        health = urllib3.request("GET", f"{url}/v1/health", timeout=20, retries=False).json()
    except (urllib3.exceptions.HTTPError, ValueError):
        return []
    return [port["port"] for port in health["ports"] if not port["healthy"]]
