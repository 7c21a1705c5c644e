"""What Vault needs: the secrets engines, the API's policy, and its token."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from picloud_driver.stack.bootstrap.change import (
    Change,
    Found,
    Replacement,
    require_own,
    require_version,
)
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers.vault import Vault, access
from picloud_driver.vault.administrator import VaultAdministrator, is_mounted
from picloud_driver.vault.bootstrap import ENGINES, SIGNING, policy_name, rules, token_policies
from picloud_driver.vault.client import ssh_mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.stack.addresses import VendorServer
    from picloud_driver.stack.bootstrap.keys import KeyFile


def changes(server: VendorServer, keys: KeyFile, *, adopt: bool) -> list[Change]:
    """Return what Vault lacks, in order; see `consul.changes`.

    Its owner has initialized and unsealed it: the keys for that are shown once, to people.
    """
    with VaultAdministrator(access(server)) as vault:
        where = f"Vault at {server.address}"
        require_version(where, Vault.program, vault.version())
        mount = access(server).mount
        found = vault.mount_at(mount)
        data = f"a mount {mount}" if found else ""
        owner = found.description if found else None
        require_own(where, Found(owner, data), keys.mark, adopt=adopt)
        return [*_engines(server, keys, vault), *_access(server, keys, vault)]


def tokens(server: VendorServer, keys: KeyFile) -> Replacement:
    """Return how the API's token in Vault is replaced."""
    policies = token_policies(access(server).mount)

    def make() -> None:
        with VaultAdministrator(access(server)) as vault:
            keys.store(vault=vault.create_token(policies))

    def revoke() -> int:
        with VaultAdministrator(access(server)) as vault:
            return vault.revoke_tokens(policies, keys.now.vault)

    return Replacement(make, revoke)


def _engines(server: VendorServer, keys: KeyFile, vault: VaultAdministrator) -> Iterator[Change]:
    def make_authority() -> None:
        with VaultAdministrator(access(server)) as administrator:
            administrator.make_ssh_authority(ssh, SIGNING)

    def make(path: str, engine: str, options: dict[str, str]) -> None:
        with VaultAdministrator(access(server)) as administrator:
            administrator.mount(path, engine, options, keys.mark)

    def describe(path: str) -> None:
        with VaultAdministrator(access(server)) as administrator:
            administrator.describe(path, keys.mark)

    ssh = ssh_mount(access(server).mount)
    for suffix, (engine, options) in ENGINES.items():
        path = f"{access(server).mount}{suffix}"
        found = vault.mount_at(path)
        if found is None:
            text = f"a secrets engine, {engine}, at {path}"
            yield Change(text, partial(make, path, engine, options))
        elif not is_mounted(found, engine, options):
            raise StackFault(f"Vault's mount {path} is used for something else.")
        elif found.description != keys.mark:
            yield Change(f"a description of the mount {path}", partial(describe, path))
    if vault.mount_at(ssh) is None or not vault.has_ssh_authority(ssh):
        yield Change(f"an authority that signs SSH certificates, at {ssh}", make_authority)


def _access(server: VendorServer, keys: KeyFile, vault: VaultAdministrator) -> Iterator[Change]:
    mount = access(server).mount
    name, wanted, policies = policy_name(mount), rules(mount), token_policies(mount)

    def set_policy() -> None:
        with VaultAdministrator(access(server)) as administrator:
            administrator.set_policy(name, wanted)

    def make_token() -> None:
        with VaultAdministrator(access(server)) as administrator:
            keys.store(vault=administrator.create_token(policies))

    if vault.policy(name) != wanted:
        yield Change(f"the policy {name}, which allows the API its work only", set_policy)
    if not keys.now.vault or not vault.is_token_of(keys.now.vault, policies):
        yield Change("a token of the API, with this policy", make_token)
