"""Secrets in Vault's KV version 2, and its SSH authority: shared by all servers of the stack."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from picloud_model.errors import Unavailable

from picloud_driver.secret.name import checked_name, checked_value
from picloud_driver.secret.port import MintedSecret, SecretPort
from picloud_driver.vault.gateway import VaultGateway
from picloud_driver.vault.leases import VaultLeases
from picloud_driver.vault.renewal import Renewal, require_renewable

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_driver.secret.port import SecretRole
    from picloud_driver.vault.client import VaultAccess

_T = TypeVar("_T")

_TRIES: Final = 10
"""How often other processes may make and remove a secret while this one makes it."""


class VaultSecrets(SecretPort):
    """Keeps each secret under its name in a mount; makes no request before the first call.

    From then on the token is renewed until `close`. No job waits for Vault: the server reads its
    keys when it starts.

    Args:
        access: Address, credentials and mount.
        threads: How many requests may run at once.
    """

    adapter: ClassVar[str] = "vault"

    def __init__(self, access: VaultAccess, *, threads: int = 4) -> None:
        self._gateway = VaultGateway(access, connections=threads + 1)
        self._leases = VaultLeases(access, connections=threads)
        self._renewal = Renewal(self._gateway)
        self._threads = ThreadPoolExecutor(threads, "vault")

    def __repr__(self) -> str:
        return f"VaultSecrets({self._gateway.where!r})"

    async def check(self) -> None:
        """Return if secrets can be read now and for as long as the server runs.

        Raises:
            Unavailable: When they cannot, or when the token expires and cannot be renewed.
        """
        require_renewable(await self._ask(self._gateway.token), self._gateway.where)
        await self.ping()

    async def get(self, name: str) -> bytes | None:
        """See `SecretPort.get`."""
        return (await self._ask(self._gateway.read, checked_name(name))).value

    async def put(self, name: str, value: bytes) -> None:
        """See `SecretPort.put`; Vault keeps some earlier versions until the secret is deleted."""
        await self._ask(self._gateway.write, name, checked_value(checked_name(name), value))

    async def get_or_create(self, name: str, make: Callable[[], bytes]) -> bytes:
        """See `SecretPort.get_or_create`."""
        checked_name(name)
        for _ in range(_TRIES):
            newest = await self._ask(self._gateway.read, name)
            if newest.value is not None:
                return newest.value
            made = checked_value(name, make())
            # Written only over the version that was read: of several concurrent writers, one wins.
            if await self._ask(self._gateway.write, name, made, newest.number):
                return made
        raise Unavailable(f"{self._gateway.where}: {name} is being changed all the time: try again")

    async def delete(self, name: str) -> None:
        """See `SecretPort.delete`; removes all versions."""
        await self._ask(self._gateway.remove, checked_name(name))

    async def ssh_authority(self) -> str:
        """See `SecretPort.ssh_authority`; `bootstrap` makes it, with administrators' rights."""
        return await self._ask(self._gateway.ssh_authority)

    async def sign_ssh(self, public_key: str, principal: str, valid_s: int) -> str:
        """See `SecretPort.sign_ssh`; Vault signs, and its key never leaves it."""
        return await self._ask(self._gateway.sign_ssh, public_key, principal, valid_s)

    async def mint(self, role: SecretRole) -> MintedSecret:
        """See `SecretPort.mint`; Vault ends what this process could not record by its lease."""
        path = f"{role.path}/{role.name}"
        made = await self._ask(self._leases.mint, path, role.parameters)
        return MintedSecret(made.fields, made.id, made.valid_s, made.renewable)

    async def renew(self, lease: str) -> float:
        """See `SecretPort.renew`."""
        return await self._ask(self._leases.renew, lease)

    async def revoke(self, lease: str) -> None:
        """See `SecretPort.revoke`."""
        await self._ask(self._leases.revoke, lease)

    async def ping(self) -> None:
        """See `SecretPort.ping`."""
        await self._ask(self._gateway.look)

    async def close(self) -> None:
        """See `SecretPort.close`; the token is no longer renewed."""
        self._renewal.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._gateway.close()
        self._leases.close()

    async def _ask(self, question: Callable[..., _T], *arguments: object) -> _T:
        self._renewal.start()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, question, *arguments)
