"""Each server really starts, answers one round trip, and is gone afterwards."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import boto3
import hvac
import pytest
import requests
from botocore.client import Config
from hvac.exceptions import VaultDown
from mirakuru.base import ENV_UUID
from mirakuru.base_env import processes_with_env

from tests.servers import running

TIMEOUT_S = 10.0

#: Sleeps for long beside its own shell, so that an end leaves two processes to clear.
SLEEPER: dict[str, Any] = {
    "ID": "sleeper",
    "Type": "batch",
    "Datacenters": ["*"],
    "Constraints": [{"LTarget": "${meta.room}", "RTarget": "kitchen", "Operand": "="}],
    "TaskGroups": [
        {
            "Name": "one",
            "Tasks": [
                {
                    "Name": "sleep",
                    "Driver": "raw_exec",
                    "Config": {"command": "/bin/sh", "args": ["-c", "sleep 600; true"]},
                    "Resources": {"CPU": 20, "MemoryMB": 20},
                }
            ],
        }
    ],
}


class HasDirectory(Protocol):
    """The attributes of every running server."""

    @property
    def directory(self) -> Path:
        """Where its files lie."""


@pytest.fixture(autouse=True)
def foreign_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every server an environment in which Nomad refuses to start and clients go astray."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "of-somebody-else")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")


@contextlib.contextmanager
def nothing_left() -> Iterator[list[HasDirectory]]:
    """Check that the servers put into the list have left no process and no file."""
    before = processes_with_env(ENV_UUID, str(os.getpid()))
    servers: list[HasDirectory] = []
    yield servers
    assert processes_with_env(ENV_UUID, str(os.getpid())) <= before
    assert servers
    assert not [server.directory for server in servers if server.directory.exists()]


def require(name: str) -> None:
    """Fail with the sentence that says how to get the server, before anything is started."""
    running.binary(name)


@pytest.mark.parametrize("on_disk", [False, True])
def test_consul_puts_a_key_once(on_disk: bool) -> None:
    """A check-and-set put with index 0 succeeds once only."""
    require("consul")
    with nothing_left() as servers, running.consul(on_disk=on_disk) as consul:
        servers.append(consul)
        url = f"{consul.address}/v1/kv/once"

        puts = [requests.put(url, params={"cas": 0}, timeout=TIMEOUT_S) for _ in range(2)]

        assert [put.json() for put in puts] == [True, False]


def test_consul_takes_sessions_at_once() -> None:
    """A server that is handed out has registered its node, without which no session starts."""
    require("consul")
    with nothing_left() as servers, running.consul() as consul:
        servers.append(consul)

        made = requests.put(f"{consul.address}/v1/session/create", timeout=TIMEOUT_S)

        assert made.status_code == requests.codes.ok


def test_consul_on_disk_outlives_a_crash() -> None:
    """What was put before a kill is there after the start."""
    require("consul")
    with nothing_left() as servers, running.consul(on_disk=True) as consul:
        servers.append(consul)
        url = f"{consul.address}/v1/kv/kept"
        requests.put(url, data=b"here", timeout=TIMEOUT_S)

        consul.process.kill()
        consul.process.start()
        consul.wait_ready()

        assert requests.get(url, {"raw": ""}, timeout=TIMEOUT_S).content == b"here"


def test_vault_reads_what_it_was_given() -> None:
    """A secret written to a KV v2 mount is read back."""
    require("vault")
    with nothing_left() as servers, running.vault() as vault:
        servers.append(vault)
        client = hvac.Client(url=vault.address, token=vault.root_token)
        client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})

        client.secrets.kv.v2.create_or_update_secret("tea", {"leaf": "assam"})

        assert read_tea(client, "secret") == {"leaf": "assam"}


def test_vault_on_disk_outlives_a_crash() -> None:
    """After a kill and a start Vault is sealed, and its data is back once it is unsealed."""
    require("vault")
    with nothing_left() as servers, running.vault(on_disk=True) as vault:
        servers.append(vault)
        client = hvac.Client(url=vault.address, token=vault.root_token)
        client.sys.enable_secrets_engine("kv", path="kept", options={"version": "2"})
        client.secrets.kv.v2.create_or_update_secret("tea", {"leaf": "assam"}, mount_point="kept")

        vault.process.kill()
        vault.process.start()
        with pytest.raises(VaultDown, match="sealed"):
            read_tea(client, "kept")
        vault.unseal()

        assert read_tea(client, "kept") == {"leaf": "assam"}


def test_s3_gives_back_what_was_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object comes back whole, and a put that forbids overwriting is refused."""
    require("versitygw")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with nothing_left() as servers, running.versitygw() as s3, s3_client(s3) as client:
        servers.append(s3)
        client.create_bucket(Bucket="box")
        client.put_object(Bucket="box", Key="a/b", Body=b"x" * 100_000)

        found = client.get_object(Bucket="box", Key="a/b")["Body"].read()

        assert found == b"x" * 100_000
        with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
            client.put_object(Bucket="box", Key="a/b", Body=b"y", IfNoneMatch="*")


def test_nomad_has_one_ready_node() -> None:
    """The agent is its own only node, ready, with raw_exec and with the meta it was given."""
    require("nomad")
    with nothing_left() as servers, running.nomad(meta={"room": "kitchen"}) as nomad:
        servers.append(nomad)

        nodes = requests.get(f"{nomad.address}/v1/nodes", timeout=TIMEOUT_S).json()
        node = requests.get(f"{nomad.address}/v1/node/{nomad.node_id}", timeout=TIMEOUT_S).json()

        assert [(found["ID"], found["Status"]) for found in nodes] == [(nomad.node_id, "ready")]
        assert node["Drivers"]["raw_exec"]["Healthy"]
        assert node["Meta"]["room"] == "kitchen"


def test_nomad_uses_the_given_dockerd() -> None:
    """The docker driver looks for dockerd where the test says it listens."""
    require("nomad")
    where = "unix:///nowhere/docker.sock"
    with nothing_left() as servers, running.nomad(docker_host=where) as nomad:
        servers.append(nomad)

        assert where in (nomad.directory / "server.log").read_text()


@pytest.mark.parametrize("crash", [False, True])
def test_nomad_takes_its_tasks_along(crash: bool) -> None:
    """A task that is still running ends with the agent, whether that is stopped or killed."""
    require("nomad")
    with nothing_left() as servers, running.nomad(meta={"room": "kitchen"}) as nomad:
        servers.append(nomad)
        requests.post(
            f"{nomad.address}/v1/jobs", json.dumps({"Job": SLEEPER}), timeout=TIMEOUT_S
        ).raise_for_status()
        wait_for_allocation(nomad)

        if crash:
            nomad.process.kill()


def read_tea(client: hvac.Client, mount: str) -> object:
    """Read the secret named tea."""
    found = client.secrets.kv.v2.read_secret_version(
        "tea", mount_point=mount, raise_on_deleted_version=True
    )
    return found["data"]["data"]


def wait_for_allocation(nomad: running.Nomad) -> None:
    """Wait until the sleeper runs."""
    url = f"{nomad.address}/v1/job/sleeper/allocations"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = requests.get(url, timeout=TIMEOUT_S).json()
        if [allocation["ClientStatus"] for allocation in found] == ["running"]:
            return
        time.sleep(0.05)
    pytest.fail("the sleeper did not start")


@contextlib.contextmanager
def s3_client(s3: running.S3) -> Iterator[Any]:
    """Open a client as the root user; boto3 makes its methods at run time, so it has no type."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    try:
        yield client
    finally:
        client.close()
