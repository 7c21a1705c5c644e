"""Servers as they come out of their packages, with ACLs: nothing was made in them yet."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Final

from tests.servers import running
from tests.servers.process import HOST, binary, free_ports, scratch, server
from tests.servers.run_nomad import COMMON_CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator

GOSSIP_KEY: Final = base64.b64encode(bytes(32)).decode()
META: Final = {"picloud_core_types": "c1,c2", "picloud_slots": "2"}


@contextlib.contextmanager
def bare() -> Iterator[dict[str, str]]:
    """Run Consul, Vault, S3, Nomad and NATS; yield the variables that name them.

    Vault was initialized and unsealed by its owner, whose token is among the variables.
    """
    with (
        consul() as consul_address,
        nomad() as nomad_address,
        running.vault() as vault,
        running.versitygw(users=True) as s3,
        running.nats() as nats,
    ):
        yield {
            "CONSUL_HTTP_ADDR": consul_address,
            "NOMAD_ADDR": nomad_address,
            "VAULT_ADDR": vault.address,
            "VAULT_TOKEN": vault.root_token,
            "PICLOUD_S3_ENDPOINT": s3.endpoint,
            "PICLOUD_S3_BUCKET": "picloud-data",
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
            "NATS_URL": nats.address,
            "NATS_USER": nats.user,
            "NATS_TOKEN": nats.token,
        }


@contextlib.contextmanager
def consul(default_policy: str = "deny") -> Iterator[str]:
    """Run a Consul that has no management token yet; yield its address."""
    with scratch("consul-bare") as directory:
        http, rpc, serf = free_ports(3)
        config = {
            "server": True,
            "bind_addr": HOST,
            "client_addr": HOST,
            "ports": {"http": http, "server": rpc, "serf_lan": serf}
            | dict.fromkeys(("https", "dns", "grpc", "grpc_tls", "serf_wan"), -1),
            "acl": {"enabled": True, "default_policy": default_policy},
            "encrypt": GOSSIP_KEY,
        }
        file = directory / "consul.json"
        file.write_text(json.dumps(config))
        address = f"http://{HOST}:{http}"
        command = [binary("consul"), "agent", "-dev", f"-config-file={file}"]
        with server(command, directory=directory, url=f"{address}/v1/status/leader"):
            yield address


@contextlib.contextmanager
def nomad() -> Iterator[str]:
    """Run a Nomad of one machine that has no management token yet; yield its address."""
    with scratch("nomad-bare") as directory:
        ports = dict(zip(("http", "rpc", "serf"), free_ports(3), strict=True))
        config = {
            "name": "bare",
            "data_dir": str(directory / "data"),
            "ports": ports,
            "advertise": {kind: f"{HOST}:{port}" for kind, port in ports.items()},
            "client": {"meta": META},
            "acl": {"enabled": True},
            "server": {"encrypt": GOSSIP_KEY},
        }
        file = directory / "nomad.json"
        file.write_text(json.dumps(config))
        address = f"http://{HOST}:{ports['http']}"
        command = [binary("nomad"), "agent", f"-config={COMMON_CONFIG}", f"-config={file}"]
        with server(command, directory=directory, url=f"{address}/v1/status/leader"):
            yield address
