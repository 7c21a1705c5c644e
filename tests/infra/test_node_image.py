"""The node image: a cluster that boots from it and nothing else, and runs jobs."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tests.infra import cluster as machines
from tests.infra.cluster import CLIENTS, SERVERS, SLOTS, SUBNET
from tests.polling import until
from tests.servers import build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.cluster import Cluster

pytestmark = pytest.mark.timeout(900)

CONNECTIONS: Final = 4
"""How many of them each pair of NATS servers has."""
FORBIDDEN: Final = (
    "consul kv get another/key",
    "consul kv put another/key value",
    "consul acl token list",
    "consul acl policy list",
    "vault kv list picloud/",
    "vault policy list",
    "vault policy write picloud-api /dev/null",
    "vault token create",
    "vault secrets list",
    "vault secrets disable picloud",
    "vault write picloud-ssh/roles/job key_type=ca allow_host_certificates=true",
    "vault operator raft list-peers",
    "vault operator seal",
    "nomad acl token list",
    "nomad acl policy delete picloud-api",
    "nomad var purge another/path",
    "nomad namespace apply another",
    "nomad system gc",
    "nomad operator snapshot save /tmp/snapshot",
    "nomad node eligibility -disable $(nomad node status -filter 'Name == \"client1\"' -quiet)",
)
"""What administrators may do, and the API may not."""
AT_ONCE: Final = f"""
import cloud, os, pwd, socket, time

def meet(number):
    cloud.bucket.putf(b"", f"here/{{number}}")
    deadline = time.monotonic() + 60
    while len(cloud.bucket.list(prefix="here/")) < {len(CLIENTS) * SLOTS}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    readable = [
        path
        for path in ("key.pem", "cert.pem")
        if os.access(f"/etc/picloud/machine/secrets/{{path}}", os.R_OK)
    ]
    return socket.gethostname(), pwd.getpwuid(os.getuid()).pw_name, readable

found = cloud.result(cloud.map(meet, range({len(CLIENTS) * SLOTS})), timeout=90)
import json
print(json.dumps(found))
"""
"""Jobs that end only once all of them run; each tells where."""
QUEUE: Final = """
import cloud

queue = cloud.queue.get("numbers")
queue.push([1, 2])
print(queue.pop())
"""


FIRST: Final = """
import cloud, time

jid = cloud.call(time.time, _type="c2")
print("waiting", flush=True)
print(cloud.result(jid, timeout=110), flush=True)
"""
"""A job for which there is no machine yet; it tells when it ran."""
NEW: Final = ("larger", str(SUBNET[27]))
"""A client with another core type than the others."""
FIRST_JOB_S: Final = 10.0
"""How long after a machine has joined its first job begins, at most."""


def test_both_sources_are_valid(tmp_path: Path) -> None:
    """Packer accepts the recipe for AWS, too, where the tests cannot run it."""
    for name in ("programs", "wheels"):
        (tmp_path / name).mkdir()
    command = ["packer", "validate", f"-var=parts={tmp_path}"]
    recipe = str(machines.ROOT / "packer" / "node.pkr.hcl")
    environment = os.environ | {"CHECKPOINT_DISABLE": "1"}

    done = subprocess.run(
        [*command, recipe], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_jobs_run_on_every_client(cluster: Cluster) -> None:
    """All slots of all clients at once, as a user that can read no key of the machine."""
    found = json.loads(cluster.python(AT_ONCE))

    assert sorted(found) == sorted(
        [name, "picloud-slot", []] for name in CLIENTS for _ in range(SLOTS)
    )


def test_a_new_machine_begins_with_what_waits_for_it(cluster: Cluster) -> None:
    """Within 10 s after it has joined."""
    name, address = NEW
    waiting = cluster.begin(FIRST)
    assert cluster.first_line(waiting) == "waiting"

    cluster.start(name, "clients", address, core_type="c2", slots=SLOTS)
    try:
        ran_at = float(cluster.result(waiting))
        assert ran_at - cluster.joined_at(name) < FIRST_JOB_S
    finally:
        cluster.remove(name)


def test_servers_are_of_the_pinned_versions(cluster: Cluster) -> None:
    """The image has the versions that the tests run against."""
    printed = cluster.execute(
        "server1", "consul version; nomad version; vault version; nats-server --version"
    )

    for name in ("consul", "nomad", "vault", "nats-server"):
        assert f"v{build.VERSIONS[name]}" in printed, name


def test_servers_are_one_cluster(cluster: Cluster) -> None:
    """Each Vault votes, and NATS stores messages, for which most of its servers have to agree.

    Each pair of NATS servers has all of its connections: one that is missing carries the messages
    of some queues.
    """
    assert cluster.voters() == len(SERVERS)
    for name in SERVERS:
        until(
            lambda at=name: cluster.routes(at) == CONNECTIONS * (len(SERVERS) - 1),
            f"NATS on {name} is connected with all others",
        )
    assert cluster.python(QUEUE) == "[1, 2]"


@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_tokens_of_the_api_allow_nothing_else(cluster: Cluster, command: str) -> None:
    """The server refuses them, though they come with a certificate of the API machine."""
    own = "/etc/picloud/machine/secrets/environment"
    refused = "grep -qiE 'permission denied|code: 403' /tmp/refused || { cat /tmp/refused; false; }"

    cluster.execute("api", f". {own}; ! {command} > /tmp/refused 2>&1 && {{ {refused}; }}")
