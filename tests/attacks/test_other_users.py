"""What another user of the machine can do to the servers of the HashiCorp stack: nothing.

The data directory of these tests can be seen by everybody, as in a home that is not private.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from picloud_driver.authority import Authority
from picloud_driver.stack.addresses import nomad_of

from tests.attacks.stranger import SHUT, STRANGER, attempts
from tests.e2e import nomad_requests
from tests.e2e.user_home import CALL, UserHome
from tests.polling import until
from tests.servers.process import binary, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS: Final = {
    "nomad": [
        ("POST", "/v1/acl/bootstrap"),
        ("GET", "/v1/metrics"),
        ("GET", "/v1/status/leader"),
        ("GET", "/v1/jobs"),
        ("PUT", "/v1/jobs"),
    ],
    "vault": [
        ("PUT", "/v1/sys/init"),
        ("PUT", "/v1/sys/rekey/init"),
        ("PUT", "/v1/sys/rekey/update"),
        ("PUT", "/v1/sys/generate-root/attempt"),
        ("PUT", "/v1/sys/unseal"),
        ("GET", "/v1/sys/seal-status"),
        ("GET", "/v1/sys/metrics"),
    ],
    "consul": [
        ("PUT", "/v1/acl/bootstrap"),
        ("GET", "/v1/kv/picloud/?recurse"),
        ("PUT", "/v1/kv/picloud/x"),
        ("PUT", "/v1/agent/service/register"),
        ("GET", "/v1/status/leader"),
        ("GET", "/v1/agent/metrics"),
    ],
}
"""Requests that need no token, and those that show or change most."""
RPC: Final = {
    "nomad": ("rpc", 4, [1, 2, 3, 5, 6, 7, 8]),
    # 7 is TLS, too, for a request that this Consul has not enabled.
    "consul": ("server", 3, [0, 1, 2, 4, 5, 6, 8, 9]),
}
"""By server: the port, the first byte of TLS, and those of the other protocols."""
NO_RIGHTS: Final = "PermissionError"
TRIED: Final = re.compile("error (registering|retrieving|heartbeating)|RPC failed")
"""In the log of a Nomad client that no server has accepted."""


@pytest.fixture(scope="module")
def public() -> Iterator[Path]:
    """A directory that every user can see."""
    directory = Path(tempfile.mkdtemp(prefix="picloud-public-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def home(public: Path) -> Iterator[UserHome]:
    """A running stack in that directory."""
    running = UserHome(public)
    running.data.mkdir(mode=0o755)
    try:
        running.up()
        yield running
    finally:
        running.clear()


@pytest.fixture(scope="module")
def forged(public: Path) -> str:
    """A pair of another authority, with the names that the servers give each other."""
    authority = Authority(public / "forged")
    roles = ["server.global.nomad", "client.global.nomad", "server.dc1.consul", "127.0.0.1"]
    authority.renew("stranger", roles)
    for path in (public / "forged", *(public / "forged").iterdir()):
        shutil.chown(path, STRANGER, STRANGER)
    return authority.files("stranger").cert_file


def ports(home: UserHome, server: str) -> dict[str, int]:
    """Return the ports of a server."""
    record = json.loads((home.data / "stack" / f"{server}.json").read_text())
    return dict(record["ports"])


def test_no_file_can_be_read(home: UserHome) -> None:
    """Tokens, certificates, keys and sockets are readable by their owner only."""
    stack = home.data / "stack"
    files = [stack, *sorted(stack.iterdir()), *sorted((stack / "tls").iterdir())]
    names = [str(path.relative_to(stack)) for path in files]
    assert {"tls/client.pem", "tls/ca.key.pem", "nomad.keys.json", "environment"} <= set(names)

    outcomes = attempts(*(["opened", str(path)] for path in files))

    assert dict(zip(names, outcomes, strict=True)) == dict.fromkeys(names, NO_RIGHTS)
    assert attempts(["socket_opened", str(stack / "consul" / "consul.sock")]) == [NO_RIGHTS]


@pytest.mark.parametrize("server", REQUESTS)
def test_no_request_is_heard_without_a_certificate(
    home: UserHome, forged: str, server: str
) -> None:
    """Each request is refused before it is read: without TLS, without a certificate, and with one
    of another authority.
    """
    port = ports(home, server)["http"]
    wanted = REQUESTS[server]

    bare = attempts(*(["requested", port, *one] for one in wanted))
    false = attempts(*(["requested", port, *one, forged] for one in wanted))
    plain = attempts(*(["requested_plainly", port, *one] for one in wanted))

    assert bare == [SHUT] * len(wanted)
    assert false == [SHUT] * len(wanted)
    # Go's servers answer 400 to whatever is not TLS.
    assert set(plain) <= {SHUT, "400"}


def test_s3_wants_a_signature(home: UserHome) -> None:
    """Objects can neither be listed, read, written nor removed without one."""
    port = ports(home, "s3")["http"]
    wanted = [("GET", "/"), ("GET", "/picloud"), ("PUT", "/picloud/x"), ("DELETE", "/picloud")]

    outcomes = attempts(*(["requested_plainly", port, *one] for one in wanted))

    assert outcomes == ["403"] * len(wanted)


@pytest.mark.parametrize("server", RPC)
def test_no_rpc_or_raft_connection_is_accepted(home: UserHome, forged: str, server: str) -> None:
    """Every protocol of the port wants TLS with a certificate of the stack's own authority."""
    name, tls, inner = RPC[server]
    port = ports(home, server)[name]

    plain = attempts(*(["rpc_opened", port, number] for number in inner))
    bare = attempts(*(["tls_rpc_opened", port, tls, number] for number in inner))
    false = attempts(*(["tls_rpc_opened", port, tls, number, forged] for number in inner))

    assert dict(zip(inner, plain, strict=True)) == dict.fromkeys(inner, SHUT)
    assert dict(zip(inner, bare, strict=True)) == dict.fromkeys(inner, SHUT)
    assert dict(zip(inner, false, strict=True)) == dict.fromkeys(inner, SHUT)


@pytest.mark.parametrize("secured", [False, True], ids=["without TLS", "forged"])
def test_no_machine_joins(home: UserHome, public: Path, forged: str, secured: bool) -> None:
    """A Nomad client of another user does not become a machine on which slots are placed."""
    config = client_config(ports(home, "nomad")["rpc"])
    if secured:
        authority = str(Path(forged).with_name("ca.pem"))
        files = {"ca_file": authority, "cert_file": forged, "key_file": forged}
        config["tls"] = {"rpc": True, **files}
    server = nomad_of(home.tokens())
    assert server is not None

    with started_by_stranger(public, config) as (client, log):
        until(
            lambda: TRIED.search(log.read_text()) or client.poll() is not None,
            "the client has tried to register",
            60,
        )
        assert client.poll() is None, log.read_text()
        machines = [node["Name"] for node in nomad_requests.get(server, "nodes")]

    assert machines == ["picloud"]
    assert home.python(CALL) == "1024"


def test_no_server_joins(home: UserHome, public: Path) -> None:
    """A Nomad server of another user is not a member of the cluster: gossip needs a key."""
    gossip = f"127.0.0.1:{ports(home, 'nomad')['serf']}"
    join = {"retry_join": [gossip], "retry_max": 2, "retry_interval": "1s"}
    config = agent_config() | {"server": {"enabled": True, "server_join": join}}
    management = json.loads((home.data / "stack" / "nomad.keys.json").read_text())["token"]
    server = nomad_of(home.tokens() | {"NOMAD_TOKEN": management})
    assert server is not None

    with started_by_stranger(public, config) as (process, log):
        until(lambda: process.poll() is not None, "the server has given up", 60)
        members = nomad_requests.get(server, "agent/members")["Members"]

    assert "max join retry exhausted" in log.read_text()
    assert [member["Name"] for member in members] == ["picloud.global"]


def client_config(servers: int) -> dict[str, Any]:
    """Return the configuration of a Nomad client that offers slots to servers at this port."""
    client = {
        "enabled": True,
        "servers": [f"127.0.0.1:{servers}"],
        "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean"},
        "meta": {"picloud_core_types": "c1,c2", "picloud_slots": "100"},
    }
    return agent_config() | {"client": client}


def agent_config() -> dict[str, Any]:
    """Return the configuration of a Nomad agent that is neither server nor client yet."""
    chosen = dict(zip(("http", "rpc", "serf"), free_ports(3), strict=True))
    return {
        "name": "intruder",
        "bind_addr": "127.0.0.1",
        "ports": chosen,
        "advertise": {name: f"127.0.0.1:{port}" for name, port in chosen.items()},
        "disable_update_check": True,
    }


@contextlib.contextmanager
def started_by_stranger(
    public: Path, config: dict[str, Any]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a Nomad agent as another user; yield its process and its log."""
    directory = Path(tempfile.mkdtemp(prefix="client", dir=public))
    program, file, log = public / "nomad", directory / "nomad.json", directory / "log"
    if not program.exists():
        shutil.copy(binary("nomad"), program)
    file.write_text(json.dumps(config | {"data_dir": str(directory / "data")}))
    shutil.chown(directory, STRANGER, STRANGER)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(program), "agent", f"-config={file}"],
            stdout=stream,
            stderr=stream,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(directory)},
            user=STRANGER,
            group=STRANGER,
            extra_groups=[],
        )
    with process:
        try:
            yield process, log
        finally:
            process.kill()
