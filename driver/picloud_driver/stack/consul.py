"""Consul for one machine: a single server on disk, with ACLs."""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from picloud_driver import disk
from picloud_driver.consul.gateway import ConsulAccess, ConsulGateway, Step, Verb
from picloud_driver.stack import records
from picloud_driver.stack.addresses import Server, given_consul
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.part import Launch, Part
from picloud_driver.stack.ports import HOST
from picloud_driver.stack.program import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_driver.stack.wait import Wait

_UNUSED: Final = ("https", "dns", "grpc", "grpc_tls", "serf_wan")
_SESSION_S: Final = 10


class Keys(msgspec.Struct, frozen=True):
    """The token that may do everything, and the key without which no server can join."""

    token: str
    gossip: str


class Consul(Part[Server]):
    """A Consul server."""

    name: ClassVar[str] = "consul"
    port_names: ClassVar[tuple[str, ...]] = ("http", "server", "serf_lan")
    program: ClassVar[Program] = Program(
        name="consul", oldest=(1, 14, 0), get="https://developer.hashicorp.com/consul/install"
    )

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `Part.launch`."""
        keys = self._secrets()
        config = {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": "picloud",
            "data_dir": str(self.directory / "data"),
            "bind_addr": HOST,
            "advertise_addr": HOST,
            "client_addr": HOST,
            "ports": {**ports, **dict.fromkeys(_UNUSED, -1)},
            "encrypt": keys.gossip,
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": keys.token, "agent": keys.token},
            },
            "ui_config": {"enabled": True},
            # Elections take a second instead of five.
            "performance": {"raft_multiplier": 1},
            "leave_on_terminate": False,
            "disable_update_check": True,
            "log_level": "warn",
        }
        file = self.directory / "consul.json"
        disk.replace(file, msgspec.json.encode(config), sync=False)
        return Launch(["agent", f"-config-file={file}"])

    def way(self, ports: Mapping[str, int]) -> Server:
        """See `Part.way`."""
        return Server(f"http://{HOST}:{ports['http']}", self._secrets().token)

    def settle(self, way: Server, wait: Wait) -> Server:
        """See `Part.settle`; sessions come last, after the election and the node's own check."""
        wait.until(lambda: self.check(way))
        return way

    @staticmethod
    def check(way: Server) -> None:
        """See `Part.check`; a key is read and a lock is taken."""
        gateway = ConsulGateway(access(way), connections=1)
        try:
            gateway.transact([Step(Verb.GET, "picloud/ping")])
            session = gateway.take(f"picloud/lock/up-{secrets.token_hex(8)}", _SESSION_S)
            if session:
                gateway.end(session)
        finally:
            gateway.close()

    def given(self, environment: Mapping[str, str]) -> Server | None:
        """See `Part.given`."""
        return given_consul(environment)

    def _secrets(self) -> Keys:
        advice = "remove what lies in stack/consul beside it to start with nothing"
        keys = records.read(self._keys, Keys, advice)
        if keys is None:
            if (self.directory / "data").exists():
                raise StackFault(f"{self._keys}, the keys of Consul, is gone: {advice}.")
            keys = Keys(str(uuid.uuid4()), base64.b64encode(os.urandom(32)).decode())
            records.write(self._keys, keys)
        return keys


def access(way: Server) -> ConsulAccess:
    """The same, as the gateway takes it."""
    return ConsulAccess(way.address, way.token, way.ca_file, way.cert_file, way.key_file)
