"""Vault for one machine: a single server on disk that is unsealed here.

Whoever can read its key file can read every secret in it: that is as safe as the machine and this
user are, and no more. In production somebody else unseals Vault, or a cloud's key service.
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
from picloud_driver.stack.addresses import Server, given_vault
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.part import Launch, Part
from picloud_driver.stack.ports import HOST
from picloud_driver.stack.program import Program
from picloud_driver.vault import faults
from picloud_driver.vault.bootstrap import bootstrap
from picloud_driver.vault.client import VaultAccess, vault_client
from picloud_driver.vault.gateway import VaultGateway
from picloud_driver.vault.renewal import refuse_mortal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from picloud_driver.stack.wait import Wait


class Keys(msgspec.Struct, frozen=True):
    """What Vault shows once, when it is new: whoever has these has all that is in it."""

    unseal_key: str
    root_token: str


class Token(msgspec.Struct, frozen=True):
    """The server's own token, which may do no more than it has to, and where it is good."""

    address: str
    token: str


class Vault(Part[Server]):
    """A Vault server."""

    name: ClassVar[str] = "vault"
    port_names: ClassVar[tuple[str, ...]] = ("http", "cluster")
    program: ClassVar[Program] = Program(
        name="vault", oldest=(1, 12, 0), get="https://developer.hashicorp.com/vault/install"
    )

    def launch(self, ports: Mapping[str, int]) -> Launch:
        """See `Part.launch`."""
        data = self.directory / "data"
        disk.private_directory(data)
        config = {
            "listener": {
                "tcp": {
                    "address": f"{HOST}:{ports['http']}",
                    "cluster_address": f"{HOST}:{ports['cluster']}",
                    # On the loopback address only.
                    "tls_disable": True,
                }
            },
            "api_addr": f"http://{HOST}:{ports['http']}",
            "cluster_addr": f"https://{HOST}:{ports['cluster']}",
            # Small builds have no other storage on disk.
            "storage": {
                "raft": {"path": str(data), "node_id": "picloud", "performance_multiplier": 1}
            },
            "disable_mlock": True,
            "log_level": "warn",
        }
        file = self.directory / "vault.json"
        disk.replace(file, msgspec.json.encode(config), sync=False)
        return Launch(["server", f"-config={file}"])

    def way(self, ports: Mapping[str, int]) -> Server:
        """See `Part.way`; without a token."""
        return Server(f"http://{HOST}:{ports['http']}")

    def settle(self, way: Server, wait: Wait) -> Server:
        """See `Part.settle`; it is initialised once and unsealed every time."""
        wait.until_it_listens(int(way.address.rpartition(":")[2]))
        client = vault_client(VaultAccess(way.address), 1)
        try:
            if not wait.until(_asked(way, client.sys.is_initialized)):
                self._initialise(way, client)
            keys = self._secrets(way)
            if wait.until(_asked(way, client.sys.is_sealed)):
                self._unseal(way, client, keys)
        finally:
            client.adapter.close()
        root = Server(way.address, keys.root_token)
        return wait.until(lambda: self._with_own_token(root))

    @staticmethod
    def check(way: Server) -> None:
        """See `Part.check`; the token has to last."""
        gateway = VaultGateway(access(way), connections=1)
        try:
            refuse_mortal(gateway.token(), gateway.where)
            gateway.look()
        finally:
            gateway.close()

    def given(self, environment: Mapping[str, str]) -> Server | None:
        """See `Part.given`."""
        return given_vault(environment)

    def adopt(self, way: Server) -> Server:
        """See `Part.adopt`; an administrator's token makes the mount and a smaller token."""
        try:
            return self._with_own_token(way)
        except Unavailable as refused:
            # A token that may not make mounts is the server's own: somebody else has made them.
            try:
                self.check(way)
            except Unavailable:
                raise refused from None
        return way

    def _initialise(self, way: Server, client: Any) -> None:
        with _told(way):
            told = client.sys.initialize(secret_shares=1, secret_threshold=1)
        records.write(self._keys, Keys(told["keys_base64"][0], told["root_token"]))

    def _unseal(self, way: Server, client: Any, keys: Keys) -> None:
        try:
            with _told(way):
                client.sys.submit_unseal_key(keys.unseal_key)
        except Unavailable as refused:
            if not isinstance(refused.__cause__, InvalidRequest):
                raise
            message = f"The key in {self._keys} does not open {way.address}: bring back the one"
            raise StackFault(f"{message} that does.") from refused

    def _secrets(self, way: Server) -> Keys:
        lost = (
            "without it this Vault stays sealed; bring it back from a copy, or remove what lies in "
            "stack/vault beside it to start with nothing"
        )
        keys = records.read(self._keys, Keys, lost)
        if keys is None:
            raise StackFault(f"{self._keys}, the key of {way.address}, is gone: {lost}.")
        return keys

    def _with_own_token(self, administrator: Server) -> Server:
        """The server with the token of an earlier time, if that is still good, or a new one."""
        file = self._keys.with_name("vault.token.json")
        kept = records.read(file, Token, "remove it to get a new one")
        if kept and kept.address == administrator.address:
            way = msgspec.structs.replace(administrator, token=kept.token)
            with contextlib.suppress(Unavailable):
                self.check(way)
                return way
        token = bootstrap(access(administrator))
        records.write(file, Token(administrator.address, token))
        return msgspec.structs.replace(administrator, token=token)


def access(way: Server) -> VaultAccess:
    """The same, as the gateway takes it."""
    return VaultAccess(way.address, way.token, ca_file=way.ca_file)


def _asked(way: Server, question: Callable[[], bool]) -> Callable[[], bool]:
    def ask() -> bool:
        with _told(way):
            return question()

    return ask


@contextlib.contextmanager
def _told(way: Server) -> Iterator[None]:
    try:
        yield
    except (VaultError, RequestException) as error:
        raise faults.refusal(error, f"Vault at {way.address}") from error
