"""Nomad, Consul, Vault, S3 and NATS are killed, one at a time: nothing acknowledged is lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import urllib3
from cloud import queue

from tests.current_client import current_client
from tests.e2e.stacks import kill
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from tests.e2e.stack_hashicorp import HashiCorpStack


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


@pytest.mark.parametrize("name", ["consul", "vault"])
def test_an_api_process_that_starts_without_a_server_waits_for_it(
    servers: HashiCorpStack, name: str
) -> None:
    """While it is away, the API's new process says what is missing, and refuses the rest with an
    error that asks to come again. Then it serves.
    """
    client = servers.client(patient=True)
    assert client.result(client.call(abs, -1), 60) == 1

    servers.kill_server(name)
    for worker in servers.api()[1:]:
        kill(worker)
    missing = until(lambda: unhealthy_ports(servers.url), "the API says what is missing", 30)
    time.sleep(3)
    assert servers.api(), "the API has ended"
    answer = urllib3.request("POST", f"{servers.url}/v1/jobs/status", json={}, retries=False)
    servers.revive()

    assert {"consul": "state", "vault": "secrets"}[name] in missing
    assert answer.status == 503
    assert client.result(client.call(abs, -2), 60) == 2
    client.close()


def unhealthy_ports(url: str) -> list[str]:
    """The ports that are away, as a server says that runs without them."""
    try:
        health = urllib3.request("GET", f"{url}/v1/health", timeout=20, retries=False).json()
    except (urllib3.exceptions.HTTPError, ValueError):
        return []
    return [port["port"] for port in health["ports"] if not port["healthy"]]
