"""Consul for one machine: a single server on disk, with ACLs.

Its clients use a Unix socket: reading 1 KB takes 0.38 ms there, 0.43 by TCP and 0.54 by TLS. The
port is for browsers, and for all clients if the path of the socket is too long.
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import Unavailable

from picloud_driver.consul.bootstrap import bootstrap
from picloud_driver.consul.gateway import ConsulAccess, ConsulGateway, Step, Verb
from picloud_driver.stack import records
from picloud_driver.stack.addresses import VendorServer, consul_of
from picloud_driver.stack.servers.acl_tokens import AclTokens, acl_tokens
from picloud_driver.stack.servers.ports import HOST
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_driver.stack.servers.startup import StartupDeadline

_UNUSED: Final = ("dns", "grpc", "grpc_tls", "serf_wan")
_SESSION_S: Final = 10
_LONGEST: Final = 100
"""Longest path of a socket, in bytes: macOS allows 103, Linux 107."""


class ApiToken(msgspec.Struct, frozen=True):
    """The API server's own token, with the least rights that it needs."""

    token: str


class Consul(StackServer[VendorServer]):
    """A Consul server."""

    name: ClassVar[str] = "consul"
    port_names: ClassVar[tuple[str, ...]] = ("http", "server", "serf_lan")
    roles: ClassVar[tuple[str, ...] | None] = ("server.dc1.consul",)
    program: ClassVar[Program] = Program(
        name="consul", oldest=(1, 14, 0), get="https://developer.hashicorp.com/consul/install"
    )

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `StackServer.launch`."""
        tokens, files = self._tokens(), self._authority.files(self.name)
        others = {name: port for name, port in ports.items() if name != "http"}
        has_socket = self._socket is not None
        config = {
            "server": True,
            "bootstrap_expect": 1,
            "node_name": "picloud",
            "data_dir": str(self.directory / "data"),
            "bind_addr": HOST,
            "advertise_addr": HOST,
            "client_addr": HOST,
            "addresses": {"http": self._socket} if has_socket else {},
            "unix_sockets": {"mode": "0600"},
            "ports": {
                **others,
                **dict.fromkeys(_UNUSED, -1),
                "https": ports["http"],
                # With a socket this is not a port, but has to be positive.
                "http": ports["http"] if has_socket else -1,
            },
            "encrypt": tokens.gossip,
            "tls": {
                "defaults": {
                    "ca_file": files.ca_file,
                    "cert_file": files.cert_file,
                    "key_file": files.key_file,
                    "verify_incoming": True,
                    "verify_outgoing": True,
                },
                "internal_rpc": {"verify_server_hostname": True},
            },
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": tokens.token, "agent": tokens.token},
            },
            "ui_config": {"enabled": True},
            # Elections take a second instead of five.
            "performance": {"raft_multiplier": 1},
            "leave_on_terminate": False,
            "disable_update_check": True,
            "log_level": "warn",
        }
        return Launch(["agent", f"-config-file={self.write_config(config)}"])

    def address(self, ports: Mapping[str, int]) -> VendorServer:
        """See `StackServer.address`."""
        server = self.tls_address(ports["http"], self._tokens().token)
        if self._socket is None:
            return server
        return VendorServer(self._socket, server.token, browser=server.address)

    def make_ready(self, server: VendorServer, deadline: StartupDeadline) -> VendorServer:
        """See `StackServer.make_ready`; the API gets a token of its own.

        Sessions work last, after election and node check.
        """
        own = msgspec.structs.replace(server, token=self._api_token())
        deadline.until(lambda: self._admit(server, own))
        return own

    @staticmethod
    def check(server: VendorServer) -> None:
        """See `StackServer.check`; reads a key and takes a lock."""
        gateway = ConsulGateway(access(server), connections=1)
        try:
            gateway.transact([Step(Verb.GET, "picloud/ping")])
            session = gateway.take(f"picloud/lock/up-{secrets.token_hex(8)}", _SESSION_S)
            if session:
                gateway.end(session)
        finally:
            gateway.close()

    def configured(self, environment: Mapping[str, str]) -> VendorServer | None:
        """See `StackServer.configured`."""
        return consul_of(environment)

    def is_own(self, address: str) -> bool:
        """See `StackServer.is_own`."""
        return address == self._socket or super().is_own(address)

    @property
    def _socket(self) -> str | None:
        """The URL of its socket, which only this user reaches; None if its path is too long."""
        path = self.directory / "consul.sock"
        return f"unix://{path}" if len(bytes(path)) <= _LONGEST else None

    def _admit(self, administrator: VendorServer, own: VendorServer) -> None:
        """Check the API's token; make it if Consul does not know it yet."""
        try:
            self.check(own)
        except Unavailable:
            bootstrap(access(administrator), own.token)
            self.check(own)

    def _api_token(self) -> str:
        """Return the API's token, which is stored before Consul learns it."""
        file = self._keys.with_name("consul.token.json")
        stored = records.read(file, ApiToken, "remove it to get a new one")
        if stored is None:
            stored = ApiToken(str(uuid.uuid4()))
            records.write(file, stored)
        return stored.token

    def _tokens(self) -> AclTokens:
        return acl_tokens(self._keys, self.directory / "data", "Consul")


def access(server: VendorServer) -> ConsulAccess:
    """Return the address in the form that the gateway takes."""
    return ConsulAccess(
        address=server.address,
        token=server.token,
        ca_file=server.ca_file,
        cert_file=server.cert_file,
        key_file=server.key_file,
    )
