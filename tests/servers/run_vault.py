"""A Vault server for a test, initialised and unsealed."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
class Vault:
    """A running Vault server, without any secrets engine mounted."""

    address: str
    root_token: str = dataclasses.field(repr=False)
    unseal_key: str = dataclasses.field(repr=False)
    directory: Path
    process: ServerProcess

    def unseal(self) -> None:
        """Unseal it, as every restart makes necessary."""
        _unseal(self.address, self.unseal_key)


@contextlib.contextmanager
def vault(*, on_disk: bool = False) -> Iterator[Vault]:
    """Run one Vault server.

    Args:
        on_disk: Keep its data through `process.kill()`, `process.start()` and `unseal()`.
    """
    with scratch("vault") as directory:
        port, cluster = free_ports(2)
        address = f"http://{HOST}:{port}"
        config = directory / "vault.json"
        config.write_text(json.dumps(_config(port, cluster) | _storage(directory, on_disk)))
        command = [binary("vault"), "server", f"-config={config}"]
        # 501 is not yet initialised, 503 sealed: either way it listens.
        url = f"{address}/v1/sys/health"
        with server(command, directory=directory, url=url, status="^(200|501|503)$") as process:
            keys = _put(address, "init", {"secret_shares": 1, "secret_threshold": 1})
            _unseal(address, keys["keys_base64"][0])
            yield Vault(
                address=address,
                root_token=keys["root_token"],
                unseal_key=keys["keys_base64"][0],
                directory=directory,
                process=process,
            )


def _config(port: int, cluster: int) -> dict[str, object]:
    listener = {
        "address": f"{HOST}:{port}",
        "cluster_address": f"{HOST}:{cluster}",
        "tls_disable": True,
    }
    return {
        "listener": {"tcp": listener},
        "api_addr": f"http://{HOST}:{port}",
        "cluster_addr": f"https://{HOST}:{cluster}",
        "disable_mlock": True,
        "log_level": "warn",
    }


def _storage(directory: Path, on_disk: bool) -> dict[str, object]:
    if not on_disk:
        return {"storage": {"inmem": {}}}
    # The build the tests use has no `file` storage; raft is what production runs as well.
    data = directory / "data"
    data.mkdir()
    raft = {"path": str(data), "node_id": "only", "performance_multiplier": 1}
    return {"storage": {"raft": raft}}


def _unseal(address: str, key: str) -> None:
    if _put(address, "unseal", {"key": key})["sealed"]:
        raise RuntimeError(f"Vault at {address} stayed sealed")
    # It answers nothing until it has elected itself.
    wait_until(lambda: _health(address) == 200, "Vault is active")


def _health(address: str) -> int:
    return urllib3.request("GET", f"{address}/v1/sys/health", retries=False, timeout=5.0).status


def _put(address: str, path: str, body: dict[str, object]) -> Any:
    response = urllib3.request(
        "PUT", f"{address}/v1/sys/{path}", json=body, retries=False, timeout=30.0
    )
    if response.status != 200:
        raise RuntimeError(f"Vault answered sys/{path} with {response.status}: {response.data!r}")
    return response.json()
