"""An authority in a Vault of the tests, from which secrets are minted for jobs."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Any

from picloud_driver.vault.client import sources_policy, vault_client

if TYPE_CHECKING:
    from picloud_driver.vault.client import VaultAccess

COMMON_NAME = "job.test"


class VaultPki:
    """The engine pki at a path of its own, with a role that gives leases.

    Args:
        administrator: Access with the root token; its mount is the server's.
    """

    def __init__(self, administrator: VaultAccess) -> None:
        self.client: Any = vault_client(administrator, 1)
        self.mount = f"pki-{uuid.uuid4().hex[:12]}"
        self.path = f"{self.mount}/issue"
        self._policy = sources_policy(administrator.mount)
        self.client.sys.enable_secrets_engine("pki", path=self.mount)
        self.client.write_data(
            f"{self.mount}/root/generate/internal",
            data={"common_name": "tests", "key_type": "ec"},
        )
        self.add_role("jobs", generate_lease=True)
        self.allow()

    def add_role(self, name: str, **settings: Any) -> None:
        """Make a role of the engine."""
        allowed = {"allow_any_name": True, "key_type": "ec", "ttl": "1h", "max_ttl": "2h"}
        self.client.write_data(f"{self.mount}/roles/{name}", data=allowed | settings)

    def allow(self) -> None:
        """Let the server use every role of the engine, and of no other."""
        rule = f'path "{self.path}/*" {{ capabilities = ["update"] }}'
        self.client.sys.create_or_update_policy(self._policy, rule)

    def forbid(self) -> None:
        """Take the right away."""
        self.client.sys.delete_policy(self._policy)

    def is_revoked(self, serial: str) -> bool:
        """Whether a certificate is on the list of those that were revoked."""
        found = self.client.read(f"{self.mount}/cert/{serial}")["data"]
        return bool(found["revocation_time"])

    def serials(self) -> set[str]:
        """Return the serial numbers of all certificates, also that of the authority."""
        return set(self.client.list(f"{self.mount}/certs")["data"]["keys"])

    def close(self) -> None:
        """Remove the engine and the right to use it."""
        self.forbid()
        self.client.sys.disable_secrets_engine(self.mount)
        self.client.adapter.close()


def administrator_of(access: VaultAccess, root_token: str) -> VaultAccess:
    """Return the same access with the rights of an administrator."""
    return dataclasses.replace(access, token=root_token)
