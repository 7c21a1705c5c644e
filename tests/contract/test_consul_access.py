"""Access to Consul: the token that docs/how-to/nomad.md asks for will do, and opens no more."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
import requests
from picloud_driver.consul.gateway import ConsulAccess
from picloud_driver.state import Put
from picloud_driver.state.consul import ConsulState
from picloud_model.errors import Unavailable

from tests.servers.process import HOST, binary, free_ports, scratch, server, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST = """
    key_prefix "picloud/" { policy = "write" }
    session_prefix "" { policy = "write" }
"""
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
    "acl/policy": {"Name": "mine", "Rules": LEAST},
    "config": {"Kind": "proxy-defaults", "Name": "global"},
}


@pytest.fixture
def guarded() -> Iterator[tuple[str, str]]:
    """A Consul that asks for tokens: its address, and a token that may do everything."""
    with scratch("consul-acl") as directory:
        (http, rpc, serf), token = free_ports(3), str(uuid.uuid4())
        unused = dict.fromkeys(("https", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
        config = {
            "server": True,
            "bind_addr": HOST,
            "client_addr": HOST,
            "ports": {"http": http, "server": rpc, "serf_lan": serf} | unused,
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": token, "agent": token},
            },
        }
        file = directory / "consul.json"
        file.write_text(json.dumps(config))
        address = f"http://{HOST}:{http}"
        command = [binary("consul"), "agent", "-dev", f"-config-file={file}"]
        with server(command, directory=directory, url=f"{address}/v1/status/leader"):
            yield address, token


async def test_the_least_token_will_do(guarded: tuple[str, str]) -> None:
    """It writes, reads, scans, watches and locks below its prefix; all the rest is refused."""
    address, token = guarded

    def ask(verb: str, path: str, body: object, bearer: str) -> requests.Response:
        headers = {"X-Consul-Token": bearer}
        return requests.request(
            verb, f"{address}/v1/{path}", json=body, headers=headers, timeout=10
        )

    policy = {"Name": "least", "Rules": LEAST}
    wait_until(lambda: ask("PUT", "acl/policy", policy, token).ok, "Consul takes policies")
    made = ask("PUT", "acl/token", {"Policies": [{"Name": "least"}]}, token)
    made.raise_for_status()
    least = str(made.json()["SecretID"])
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
