"""A Consul server for a test."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import urllib3

from tests.servers.process import (
    HOST,
    ServerProcess,
    binary,
    free_ports,
    scratch,
    server,
    wait_until,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Consul:
    """A running Consul server, without ACLs."""

    address: str
    host: str
    port: int
    node: str
    directory: Path
    process: ServerProcess

    def wait_ready(self) -> None:
        """Wait until it takes writes and sessions; call it after a restart."""
        # A session refers to the node's own check, which is registered after the election.
        wait_until(self._is_registered, "Consul has registered its node")

    def _is_registered(self) -> bool:
        url = f"{self.address}/v1/health/node/{self.node}"
        response = urllib3.request("GET", url, retries=False, timeout=5.0)
        checks = response.json() if response.status == 200 else []
        return any(check["Status"] == "passing" for check in checks)


@contextlib.contextmanager
def consul(*, on_disk: bool = False) -> Iterator[Consul]:
    """Run one Consul server.

    Args:
        on_disk: Keep its data through `process.kill()` and `process.start()`. In memory it is
            there at once; on disk the first election takes seconds.
    """
    with scratch("consul") as directory:
        port, rpc, serf = free_ports(3)
        node = f"consul-{port}"
        address = f"http://{HOST}:{port}"
        config = directory / "consul.json"
        config.write_text(json.dumps(_config(node, port, rpc, serf) | _storage(directory, on_disk)))
        command = [binary("consul"), "agent", f"-config-file={config}"]
        if not on_disk:
            command.append("-dev")
        # A read of a key answers 500 as long as there is no leader.
        url = f"{address}/v1/kv/ready"
        with server(command, directory=directory, url=url, status="^(200|404)$") as process:
            running = Consul(
                address=address,
                host=HOST,
                port=port,
                node=node,
                directory=directory,
                process=process,
            )
            running.wait_ready()
            yield running


def _config(node: str, port: int, rpc: int, serf: int) -> dict[str, object]:
    unused = dict.fromkeys(("https", "dns", "grpc", "grpc_tls", "serf_wan"), -1)
    return {
        "server": True,
        "node_name": node,
        "bind_addr": HOST,
        "client_addr": HOST,
        "ports": {"http": port, "server": rpc, "serf_lan": serf} | unused,
        "performance": {"raft_multiplier": 1},
        "leave_on_terminate": False,
        "disable_update_check": True,
        "log_level": "warn",
    }


def _storage(directory: Path, on_disk: bool) -> dict[str, object]:
    # `-dev` makes itself leader and refuses to be told so.
    return {"bootstrap_expect": 1, "data_dir": str(directory / "data")} if on_disk else {}
