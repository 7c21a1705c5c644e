"""Access to Consul: the token that bootstrap makes will do, and opens no more."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
import requests
from picloud_driver.consul.bootstrap import bootstrap
from picloud_driver.consul.gateway import ConsulAccess
from picloud_driver.state import Put
from picloud_driver.state.consul import ConsulState
from picloud_model.errors import Unavailable

from tests.contract.guarded_consul import guarded_consul
from tests.servers.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = [
    ("PUT", "kv/other"),
    ("GET", "kv/other"),
    ("DELETE", "kv/picloudy"),
    ("PUT", "agent/service/register"),
    ("PUT", "agent/check/register"),
    ("PUT", "catalog/register"),
    ("PUT", "agent/join/127.0.0.1"),
    ("PUT", "agent/leave"),
    ("PUT", "agent/maintenance?enable=true"),
    ("GET", "agent/self"),
    ("PUT", "acl/token"),
    ("GET", "acl/tokens"),
    ("PUT", "acl/policy"),
    ("PUT", "config"),
    ("PUT", "event/fire/x"),
    ("GET", "snapshot"),
    ("GET", "operator/raft/configuration"),
]
BODIES = {
    "agent/service/register": {"Name": "x"},
    "agent/check/register": {"Name": "x", "TTL": "10s"},
    "catalog/register": {"Node": "x", "Address": "127.0.0.1"},
    "acl/policy": {"Name": "mine", "Rules": ""},
    "config": {"Kind": "proxy-defaults", "Name": "global"},
}


@pytest.fixture
def guarded() -> Iterator[tuple[str, str]]:
    """A Consul that asks for tokens: its address, and a token that may do everything."""
    with guarded_consul() as made:
        yield made


def _bootstrapped(administrator: ConsulAccess, token: str) -> bool:
    try:
        bootstrap(administrator, token)
    except Unavailable:
        return False
    return True


async def test_a_token_that_may_not_bootstrap_is_named(guarded: tuple[str, str]) -> None:
    """Bootstrap needs a management token, and says so if it has none."""
    address, _ = guarded

    with pytest.raises(Unavailable, match="refuses our token"):
        bootstrap(ConsulAccess(address, str(uuid.uuid4())), str(uuid.uuid4()))


async def test_the_least_token_will_do(guarded: tuple[str, str]) -> None:
    """It writes, reads, scans, watches and locks below its prefix; all the rest is refused.

    A second bootstrap changes nothing.
    """
    address, token = guarded

    def ask(verb: str, path: str, body: object, bearer: str) -> requests.Response:
        headers = {"X-Consul-Token": bearer}
        return requests.request(
            verb, f"{address}/v1/{path}", json=body, headers=headers, timeout=10
        )

    administrator, least = ConsulAccess(address, token), str(uuid.uuid4())
    wait_until(lambda: _bootstrapped(administrator, least), "Consul takes policies")
    bootstrap(administrator, least)
    state = ConsulState(ConsulAccess(address, least))
    other = ConsulState(ConsulAccess(address, least), prefix="other/")

    await state.commit([Put("a", b"1", 0)])
    assert (await state.get(["a"]))["a"].value == b"1"
    assert [entry.key for entry in await state.scan("a")] == ["a"]
    assert await state.watch("a", 0, 0.1)
    lock = await state.lock("leader", 20.0)
    assert lock is not None
    assert await lock.held()
    await lock.release()
    with pytest.raises(Unavailable):
        await other.commit([Put("a", b"1", 0)])
    said = {
        (verb, path): ask(verb, path, BODIES.get(path, {}), least).status_code
        for verb, path in REFUSED
    }
    assert said == dict.fromkeys(REFUSED, 403)
    await state.close()
    await other.close()
