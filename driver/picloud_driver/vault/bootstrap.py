"""Making Vault ready for the platform, with an administrator's token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_driver.policies import policy
from picloud_driver.vault.administrator import VaultAdministrator
from picloud_driver.vault.client import SSH_PERMITTED, sources_policy, ssh_mount

if TYPE_CHECKING:
    from picloud_driver.vault.client import VaultAccess

ENGINES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "": ("kv", {"version": "2"}),
    "-transit": ("transit", {}),
    "-ssh": ("ssh", {}),
}
"""The secrets engines and their options, by what follows the mount's name."""


SIGNING: Final = {
    "key_type": "ca",
    "algorithm_signer": "default",
    "allow_user_certificates": True,
    # The server names a job, and no other client may sign.
    "allowed_users": "*",
    "allowed_extensions": ",".join(SSH_PERMITTED),
    "default_extensions": {},
    "ttl": "5m",
    "max_ttl": "10m",
}
"""The rules by which SSH certificates are signed."""


def policy_name(mount: str) -> str:
    """Return the name of the API's policy."""
    return f"{mount}-api"


def token_policies(mount: str) -> tuple[str, str]:
    """Return the policies of the API's token: its own, and the one that the operator writes."""
    return policy_name(mount), sources_policy(mount)


def rules(mount: str) -> str:
    """Return the rules of the API's policy.

    >>> rules("jobs").splitlines()[3]
    'path "jobs/data/*" { capabilities = ["create", "read", "update"] }'
    """
    return policy("vault.hcl").replace('"picloud', f'"{mount}')


def bootstrap(administrator: VaultAccess) -> str:
    """Make the mounts and the policy that the server needs, if missing, and a token.

    The secrets engines are KV version 2 at the mount, `picloud`, transit at `picloud-transit`, and
    SSH at `picloud-ssh`, with an authority that signs for jobs; the policy is `picloud-api`. The
    token has the policy `picloud-sources`, too, which is the operator's to write. Each call makes a
    new token; earlier ones stay valid. It blocks.

    Args:
        administrator: Vault's address and a token that may do all this; it is not stored.

    Returns:
        A periodic token with these policies and no other.

    Raises:
        Unavailable: When the mount has another purpose, or Vault does not answer.
    """
    mount = administrator.mount
    with VaultAdministrator(administrator) as vault:
        for suffix, (engine, options) in ENGINES.items():
            vault.mount(f"{mount}{suffix}", engine, options)
        vault.make_ssh_authority(ssh_mount(mount), SIGNING)
        vault.set_policy(policy_name(mount), rules(mount))
        return vault.create_token(token_policies(mount))
