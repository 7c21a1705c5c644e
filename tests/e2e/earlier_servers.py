"""The servers of the HashiCorp stack as versions before TLS have started them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from picloud_driver.stack.addresses import VendorServer
from picloud_driver.stack.hashicorp import Stack
from picloud_driver.stack.servers.consul import Consul
from picloud_driver.stack.servers.nats import Nats
from picloud_driver.stack.servers.nomad import Nomad
from picloud_driver.stack.servers.stack_server import StackServer
from picloud_driver.stack.servers.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from picloud_driver.stack.addresses import Addresses


class _WithoutTls(StackServer[VendorServer]):
    roles = None

    def tls_address(self, port: int, token: str = "") -> VendorServer:
        return VendorServer(f"http://127.0.0.1:{port}", token)

    def write_config(self, config: Mapping[str, Any]) -> Path:
        plain = {name: value for name, value in config.items() if name != "tls"}
        return super().write_config(plain | self.replaced(config))

    def replaced(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that differ without TLS."""
        return {}


class _Consul(_WithoutTls, Consul):
    @property
    def _socket(self) -> None:
        return None

    def replaced(self, config: Mapping[str, Any]) -> dict[str, Any]:
        ports = config["ports"]
        return {"ports": ports | {"http": ports["https"], "https": -1}}


class _Vault(_WithoutTls, Vault):
    def replaced(self, config: Mapping[str, Any]) -> dict[str, Any]:
        tcp = {n: v for n, v in config["listener"]["tcp"].items() if not n.startswith("tls_")}
        address = config["api_addr"].replace("https", "http")
        return {"listener": {"tcp": tcp | {"tls_disable": True}}, "api_addr": address}


class _Nomad(_WithoutTls, Nomad):
    pass


class EarlierServers(Stack):
    """Consul, Vault and Nomad without TLS and S3; their records name no authority."""

    def __init__(self, data: Path, environment: Mapping[str, str]) -> None:
        super().__init__(data, environment, slots=2)
        self._nomad = _Nomad(data, 2)
        self._nats = Nats(data)
        self._servers = (_Consul(data), _Vault(data), self._s3, self._nomad, self._nats)

    def start(self) -> Addresses:
        """Start them. NATS and certificates came later: they leave nothing."""
        addresses = super().start()
        self._stop([self._nats])
        shutil.rmtree(self._nats.directory)
        shutil.rmtree(self._nats.directory.parent / "tls")
        self._nats.directory.with_suffix(".json").unlink(missing_ok=True)
        return addresses
