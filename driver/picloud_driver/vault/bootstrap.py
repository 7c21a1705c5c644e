"""Making Vault ready for the platform, with an administrator's token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from hvac.exceptions import InvalidRequest, VaultError
from picloud_model.errors import Unavailable
from requests import RequestException

from picloud_driver.policies import policy
from picloud_driver.vault import faults
from picloud_driver.vault.client import SSH_PERMITTED, SSH_ROLE, ssh_mount, vault_client

if TYPE_CHECKING:
    from picloud_driver.vault.client import VaultAccess

_PERIOD: Final = "768h"
"""How long the server may be down before its token expires: 32 days, Vault's maximum."""
_READY_S: Final = 10.0
_POLL_S: Final = 0.05
_ROLE: Final = {
    "key_type": "ca",
    "algorithm_signer": "default",
    "allow_user_certificates": True,
    # The server names a job; nobody else may sign.
    "allowed_users": "*",
    "allowed_extensions": ",".join(SSH_PERMITTED),
    "default_extensions": {},
    "ttl": "5m",
    "max_ttl": "10m",
}


def bootstrap(administrator: VaultAccess) -> str:
    """Make the mounts and the policy that the server needs, if missing, and a token.

    The secrets engines are KV version 2 at the mount, `picloud`, transit at `picloud-transit`, and
    SSH at `picloud-ssh`, with an authority that signs for jobs; the policy is `picloud-api`. Each
    call makes a new token; earlier ones stay valid. It blocks.

    Args:
        administrator: Vault's address and a token that may do all this; it is not stored.

    Returns:
        A periodic token with the policy and no other.

    Raises:
        Unavailable: When the mount has another purpose, or Vault does not answer.
    """
    where = f"Vault at {administrator.address}, mount {administrator.mount}"
    client = vault_client(administrator, 1)
    try:
        _mount(client, administrator.mount, "kv", {"version": "2"})
        _mount(client, f"{administrator.mount}-transit", "transit", {})
        _await_upgrade(client, administrator.mount)
        _make_ssh_authority(client, ssh_mount(administrator.mount))
        return _token(client, administrator.mount)
    except (VaultError, RequestException, OSError) as error:
        raise faults.refusal(error, where) from error
    finally:
        client.adapter.close()


def _mount(client: Any, path: str, engine: str, options: dict[str, str]) -> None:
    try:
        client.sys.enable_secrets_engine(engine, path=path, options=options)
    except InvalidRequest as error:
        if faults.IN_USE not in str(error):
            raise
    mounted = client.sys.list_mounted_secrets_engines()["data"][f"{path}/"]
    if mounted["type"] != engine or not options.items() <= (mounted["options"] or {}).items():
        raise Unavailable(f"Vault's mount {path} is used for something else: name another one.")


def _await_upgrade(client: Any, mount: str) -> None:
    """Wait until the mount can be used, as Vault prepares it in the background."""
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            client.secrets.kv.v2.read_configuration(mount_point=mount)
        except InvalidRequest as error:
            if faults.UPGRADING not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _make_ssh_authority(client: Any, mount: str) -> None:
    """Make the key that signs certificates, unless there is one, and the rules for signing."""
    _mount(client, mount, "ssh", {})
    try:
        client.write_data(
            f"{mount}/config/ca", data={"generate_signing_key": True, "key_type": "ed25519"}
        )
    except InvalidRequest as error:
        if faults.CONFIGURED not in str(error):
            raise
    client.write_data(f"{mount}/roles/{SSH_ROLE}", data=_ROLE)


def _token(client: Any, mount: str) -> str:
    name = f"{mount}-api"
    rules = policy("vault.hcl").replace('"picloud', f'"{mount}')
    client.sys.create_or_update_policy(name, rules)
    # An orphan: the server's token does not end with the administrator's.
    made = client.auth.token.create_orphan(
        policies=[name], no_default_policy=True, period=_PERIOD, display_name=name
    )
    return str(made["auth"]["client_token"])
