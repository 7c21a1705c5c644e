"""Vault for one machine: a single server on disk that PiCloud unseals.

Its key file gives access to every secret in it, so the secrets are only as safe as the machine and
this user. In production an operator unseals Vault, or a cloud's key service does.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from hvac.exceptions import InvalidRequest, VaultError
from picloud_model.errors import Unavailable
from requests import RequestException

from picloud_driver import disk
from picloud_driver.stack import records
from picloud_driver.stack.addresses import VendorServer, vault_of
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.ports import HOST
from picloud_driver.stack.servers.program import Program
from picloud_driver.stack.servers.stack_server import Launch, StackServer
from picloud_driver.vault import faults
from picloud_driver.vault.bootstrap import bootstrap
from picloud_driver.vault.client import VaultAccess, sources_policy, vault_client
from picloud_driver.vault.gateway import VaultGateway
from picloud_driver.vault.renewal import require_renewable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from picloud_driver.stack.servers.startup import StartupDeadline


class VaultRootKeys(msgspec.Struct, frozen=True):
    """The keys that a new Vault shows once; they give access to all that is in it."""

    unseal_key: str
    root_token: str


class Token(msgspec.Struct, frozen=True):
    """The API server's own token, with the least rights it needs, and the Vault it is valid for."""

    address: str
    token: str


class Vault(StackServer[VendorServer]):
    """A Vault server."""

    name: ClassVar[str] = "vault"
    port_names: ClassVar[tuple[str, ...]] = ("http", "cluster")
    roles: ClassVar[tuple[str, ...] | None] = ()
    program: ClassVar[Program] = Program(
        name="vault", oldest=(1, 12, 0), get="https://developer.hashicorp.com/vault/install"
    )

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `StackServer.launch`."""
        data = self.directory / "data"
        disk.private_directory(data)
        files = self._authority.files(self.name)
        config = {
            "listener": {
                "tcp": {
                    "address": f"{HOST}:{ports['http']}",
                    "cluster_address": f"{HOST}:{ports['cluster']}",
                    "tls_cert_file": files.cert_file,
                    "tls_key_file": files.key_file,
                    # Who reaches Vault needs no token to initialise it, or to start a rekey.
                    "tls_require_and_verify_client_cert": True,
                    "tls_client_ca_file": files.ca_file,
                }
            },
            "api_addr": f"https://{HOST}:{ports['http']}",
            "cluster_addr": f"https://{HOST}:{ports['cluster']}",
            # Small builds of Vault have no other storage on disk.
            "storage": {
                "raft": {"path": str(data), "node_id": "picloud", "performance_multiplier": 1}
            },
            "disable_mlock": True,
            "log_level": "warn",
        }
        return Launch(["server", f"-config={self.write_config(config)}"])

    def address(self, ports: Mapping[str, int]) -> VendorServer:
        """See `StackServer.address`; it has no token yet."""
        return self.tls_address(ports["http"])

    def make_ready(self, server: VendorServer, deadline: StartupDeadline) -> VendorServer:
        """See `StackServer.make_ready`; initialises Vault once and unseals it at every start."""
        deadline.until_listening(int(server.address.rpartition(":")[2]))
        client = vault_client(access(server), 1)
        try:
            if not deadline.until(_retriable(server, client.sys.is_initialized)):
                self._initialise(server, client)
            keys = self._root_keys(server)
            if deadline.until(_retriable(server, client.sys.is_sealed)):
                self._unseal(server, client, keys)
        finally:
            client.adapter.close()
        root = msgspec.structs.replace(server, token=keys.root_token)
        return deadline.until(lambda: self._with_own_token(root))

    @staticmethod
    def check(server: VendorServer) -> None:
        """See `StackServer.check`; the token must not expire."""
        gateway = VaultGateway(access(server), connections=1)
        try:
            require_renewable(gateway.token(), gateway.where)
            gateway.look()
        finally:
            gateway.close()

    def configured(self, environment: Mapping[str, str]) -> VendorServer | None:
        """See `StackServer.configured`."""
        return vault_of(environment)

    def adopt(self, server: VendorServer) -> VendorServer:
        """See `StackServer.adopt`; makes the mount and a smaller token if its token may."""
        try:
            return self._with_own_token(server)
        except Unavailable as refused:
            # A token that may not make mounts is the API server's own; an administrator made them.
            try:
                self.check(server)
            except Unavailable:
                raise refused from None
        return server

    def _initialise(self, server: VendorServer, client: Any) -> None:
        with _vault_errors(server):
            keys = client.sys.initialize(secret_shares=1, secret_threshold=1)
        records.write(self._keys, VaultRootKeys(keys["keys_base64"][0], keys["root_token"]))

    def _unseal(self, server: VendorServer, client: Any, keys: VaultRootKeys) -> None:
        try:
            with _vault_errors(server):
                client.sys.submit_unseal_key(keys.unseal_key)
        except Unavailable as refused:
            if not isinstance(refused.__cause__, InvalidRequest):
                raise
            message = f"The key in {self._keys} does not unseal {server.address}: restore the one"
            raise StackFault(f"{message} that does.") from refused

    def _root_keys(self, server: VendorServer) -> VaultRootKeys:
        lost = (
            "without it this Vault stays sealed; restore it from a copy, or remove stack/vault "
            "next to it to start with nothing"
        )
        keys = records.read(self._keys, VaultRootKeys, lost)
        if keys is None:
            raise StackFault(f"{self._keys}, the key of {server.address}, is gone: {lost}.")
        return keys

    def _with_own_token(self, administrator: VendorServer) -> VendorServer:
        """Return the server with its stored token, or with a new one if that is no longer valid.

        A Vault that does not answer, or that has no active node yet, says nothing about the token.
        """
        file = self._keys.with_name("vault.token.json")
        stored = records.read(file, Token, "remove it to get a new one")
        if stored and stored.address == administrator.address:
            server = msgspec.structs.replace(administrator, token=stored.token)
            try:
                self.check(server)
                _check_rights(server)
            except Unavailable as refused:
                if faults.is_away(refused):
                    raise
            else:
                return server
        token = bootstrap(access(administrator))
        records.write(file, Token(administrator.address, token))
        return msgspec.structs.replace(administrator, token=token)


def _check_rights(server: VendorServer) -> None:
    """Raise `Unavailable` when a token lacks rights that new ones have, being an old one."""
    gateway = VaultGateway(access(server), connections=1)
    try:
        gateway.ssh_authority()
        if sources_policy(access(server).mount) not in gateway.token().policies:
            raise Unavailable(f"{gateway.where}: our token cannot mint secrets for jobs.")
    finally:
        gateway.close()


def access(server: VendorServer) -> VaultAccess:
    """Return the address in the form that the gateway takes."""
    return VaultAccess(
        address=server.address,
        token=server.token,
        ca_file=server.ca_file,
        cert_file=server.cert_file,
        key_file=server.key_file,
    )


def _retriable(server: VendorServer, question: Callable[[], bool]) -> Callable[[], bool]:
    def ask() -> bool:
        with _vault_errors(server):
            return question()

    return ask


@contextlib.contextmanager
def _vault_errors(server: VendorServer) -> Iterator[None]:
    try:
        yield
    except (VaultError, RequestException) as error:
        raise faults.refusal(error, f"Vault at {server.address}") from error
