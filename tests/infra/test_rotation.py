"""Keys and certificates of a cluster, replaced while maps and queues are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.infra import programs
from tests.infra.cluster import LATE_S, SERVERS
from tests.infra.programs import LONG, PASSED
from tests.infra.replacement import PORTS, make_secrets, shown
from tests.polling import until

if TYPE_CHECKING:
    from tests.infra.cluster import Cluster

pytestmark = pytest.mark.timeout(600)

STATES: Final = ("alive", "failed", "left", "leaving")


def members(cluster: Cluster) -> list[str]:
    """Return the states of the servers, as the gossip of Consul and Nomad has them."""
    both = cluster.managed("consul members | tail -n +2; nomad server members | tail -n +2")
    return [word for line in both.splitlines() for word in line.split() if word in STATES]


def test_certificates_are_renewed_under_a_map(cluster: Cluster) -> None:
    """Every server shows the new one, without a restart; no program notices."""
    passing, mapping = programs.begin(cluster, PASSED, LONG)
    before = {shown(cluster, each, port) for each in SERVERS.values() for port in PORTS.values()}

    make_secrets(cluster, "--renew")

    new = (cluster.secrets / "servers" / "cert.pem").read_text().strip()
    assert len(before) == 1
    assert new not in before
    for address in SERVERS.values():
        for program, port in PORTS.items():
            until(
                lambda a=address, p=port: shown(cluster, a, p) == new,
                f"{program} at {address} shows the new certificate",
            )
    assert cluster.result(mapping)
    programs.end(cluster)
    assert cluster.result(passing) == "all"
    assert cluster.python("import cloud; print(cloud.result(cloud.call(pow, 2, 9)))") == "512"


def test_gossip_keys_are_replaced_under_a_map(cluster: Cluster) -> None:
    """The old ones end; a server that was lost joins with the new ones, and no program notices."""
    passing, mapping = programs.begin(cluster, PASSED, LONG)

    cluster.admin("rotate", "--gossip")
    for name in ("consul-gossip", "nomad-gossip"):
        key = cluster.execute("api", f"cat /root/picloud/{name}")
        (cluster.secrets / "servers" / name).write_text(f"{key}\n")
    revoked = cluster.admin("rotate", "--gossip", "--revoke")
    cluster.kill("server1")
    # Soon after "failed", the leader removes it, which makes it "left".
    lost = {"failed", "left"}
    until(lambda: not lost.isdisjoint(members(cluster)), "the loss is noticed", LATE_S)
    cluster.restart("server1")
    cluster.unseal("server1")

    until(lambda: members(cluster) == ["alive"] * 2 * len(SERVERS), "all are members", LATE_S)
    assert revoked.split() == ["consul", "1", "revoked", "nomad", "1", "revoked"]
    assert cluster.result(mapping)
    programs.end(cluster)
    assert cluster.result(passing) == "all"
