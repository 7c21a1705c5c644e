"""Machines that are lost, cut off, drained and added while maps and queues are in use."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.infra import programs
from tests.infra.cluster import CLIENTS, LATE_S, SERVERS, SLOTS, SUBNET
from tests.infra.programs import HELD, LONG, PASSED, RELEASED
from tests.polling import until

if TYPE_CHECKING:
    from tests.infra.cluster import Cluster

pytestmark = pytest.mark.timeout(600)

ALL_SLOTS: Final = len(CLIENTS) * SLOTS
AT_ONCE: Final = f"""
import cloud, json, socket, time, uuid

def meet(number, key):
    cloud.bucket.putf(b"", f"{{key}}/{{number}}")
    deadline = time.monotonic() + 60
    while len(cloud.bucket.list(prefix=f"{{key}}/")) < {ALL_SLOTS}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return socket.gethostname()

jids = cloud.map(meet, range({ALL_SLOTS}), [uuid.uuid4().hex] * {ALL_SLOTS})
print(json.dumps(sorted(cloud.result(jids, timeout=100))))
"""
"""Jobs that end only once each of them has a slot of its own."""
NEW: Final = ("client3", str(SUBNET[23]))


def leader(cluster: Cluster, program: str) -> str:
    """Return the server that leads Consul or Nomad, once there is one."""
    until(lambda: bool(cluster.leader(program)), f"{program} has a leader", LATE_S)
    return cluster.leader(program)


def ready(cluster: Cluster) -> list[str]:
    """Return the clients that Nomad gives slots to."""
    nodes = json.loads(cluster.managed("nomad node status -json"))
    usable = ("ready", "eligible")
    return sorted(
        each["Name"] for each in nodes if (each["Status"], each["SchedulingEligibility"]) == usable
    )


def assert_whole(cluster: Cluster) -> None:
    """Every client is ready, every server a member, and as many jobs run at once as before."""
    until(lambda: ready(cluster) == sorted(CLIENTS), "all clients are ready", LATE_S)
    until(lambda: cluster.voters() == len(SERVERS), "all vote in Vault", LATE_S)
    # One that was lost votes again only once it was there for a while: until then, no other one of
    # three may be lost.
    for program in ("consul", "nomad"):
        until(
            lambda name=program: cluster.raft_voters(name) == len(SERVERS),
            f"all vote in {program}",
            LATE_S,
        )
    assert len(json.loads(cluster.python(AT_ONCE))) == ALL_SLOTS


def busiest(cluster: Cluster) -> str:
    """Return the client that has the most slots: Nomad need not spread them."""
    placed = json.loads(cluster.managed("nomad operator api /v1/allocations"))
    running = Counter(each["NodeName"] for each in placed if each["ClientStatus"] == "running")
    return max(CLIENTS, key=lambda name: running[name])


def drain(cluster: Cluster, options: str) -> None:
    """Drain the usual clients, or give them slots again."""
    for name in CLIENTS:
        node = f"$(nomad node status -filter 'Name == \"{name}\"' -quiet)"
        cluster.managed(f"nomad node drain {options} -yes {node}")


@pytest.mark.parametrize("which", ["the first", "consul", "nomad"])
def test_a_map_outlives_the_loss_of_a_server(cluster: Cluster, which: str) -> None:
    """The server that clients try first, or one that leads, is killed; then it joins again.

    Under a map and a queue, whose messages are pushed and popped all the time: none is lost.
    """
    passing, mapping = programs.begin(cluster, PASSED, LONG)
    lost = "server1" if which == "the first" else leader(cluster, which)

    cluster.kill(lost)

    assert cluster.result(mapping)
    for program in ("consul", "nomad"):
        assert leader(cluster, program) != lost
    programs.end(cluster)
    assert cluster.result(passing) == "all"
    cluster.restart(lost)
    cluster.unseal(lost)
    assert_whole(cluster)


def test_a_map_outlives_a_split_of_the_network(cluster: Cluster) -> None:
    """The leader of Consul and the client with the most slots are cut off under a map.

    The jobs that run there cannot report, so all jobs end on the other client; no message is lost.
    As soon as the network is whole again, so is the cluster.
    """
    for name in CLIENTS:
        cluster.execute(name, f"rm -f {RELEASED}")
    passing, mapping = programs.begin(cluster, PASSED, HELD)
    lost, client = leader(cluster, "consul"), busiest(cluster)
    (other,) = CLIENTS.keys() - {client}

    with cluster.split([lost, client]):
        cluster.execute(other, f"touch {RELEASED}")
        assert set(json.loads(cluster.result(mapping))) == {other}
        assert leader(cluster, "consul") != lost
        programs.end(cluster)
        assert cluster.result(passing) == "all"

    cluster.execute(client, f"touch {RELEASED}")
    assert_whole(cluster)


def test_programs_wait_for_an_api_that_is_cut_off(cluster: Cluster) -> None:
    """The API reaches no server for a while; the map and its wait go on, and no job is lost."""
    (mapping,) = programs.begin(cluster, LONG)

    with cluster.split(["api"]):
        until(lambda: not cluster.succeeds("api", "timeout 2 nomad status"), "it is cut off")

    assert len(json.loads(cluster.result(mapping))) == 100
    assert_whole(cluster)


def test_clients_are_replaced_under_a_map(cluster: Cluster) -> None:
    """Another client joins under a map, and all others are drained: the next map ends on it."""
    (before,) = programs.begin(cluster, LONG)
    name, address = NEW

    cluster.start(name, "clients", address, core_type="c1", slots=SLOTS)
    try:
        until(lambda: name in ready(cluster), f"{name} joins", LATE_S)
        assert len(json.loads(cluster.result(before))) == 100
        (mapping,) = programs.begin(cluster, LONG)
        drain(cluster, "-enable -deadline 1s -detach")

        assert json.loads(cluster.result(mapping))[-1] == name
    finally:
        drain(cluster, "-disable")
        cluster.remove(name)
    assert_whole(cluster)
