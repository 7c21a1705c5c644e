"""Real servers for tests: context managers that yield a frozen value with what a client needs.

Each server has free loopback ports and a directory of its own; nothing of it outlives its block.
"""

from tests.servers.process import MissingServerError, ServerProcess, binary
from tests.servers.run_consul import Consul, consul
from tests.servers.run_nats import Nats, NatsCluster, nats, nats_cluster
from tests.servers.run_nomad import Nomad, nomad
from tests.servers.run_vault import Vault, vault
from tests.servers.run_versitygw import S3, versitygw

__all__ = [
    "S3",
    "Consul",
    "MissingServerError",
    "Nats",
    "NatsCluster",
    "Nomad",
    "ServerProcess",
    "Vault",
    "binary",
    "consul",
    "nats",
    "nats_cluster",
    "nomad",
    "vault",
    "versitygw",
]
