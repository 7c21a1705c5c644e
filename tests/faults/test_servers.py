"""Nomad, Consul, Vault and S3 are killed, one at a time: nothing acknowledged is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.ledger import Ledger

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
