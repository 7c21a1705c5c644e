"""What Vault needs so that the API on Nomad gets its token there by what Nomad says of it.

Nomad signs who a task is. Vault checks that with Nomad's public keys, and gives a token to the task
that is the API, and to no other one.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from picloud_jobspecs.api import AUDIENCE, JOB, TASK
from picloud_model.errors import Unavailable

from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.stack.bootstrap.change import Change
from picloud_driver.stack.servers.nomad import access as nomad_access
from picloud_driver.stack.servers.vault import access as vault_access
from picloud_driver.vault.administrator import VaultAdministrator
from picloud_driver.vault.bootstrap import policy_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.stack.addresses import VendorServer

_PERIOD_S: Final = 24 * 3600
"""How long a token of a task that has ended is valid; the API renews its own."""


def changes(vault: VendorServer, nomad: VendorServer) -> Iterator[Change]:
    """Yield what Vault lacks, in order; see `consul.changes`."""
    mount = vault_access(vault).mount
    path = auth_path(mount)
    role = f"{path}/role/{policy_name(mount)}"
    keys, rules = {"jwt_validation_pubkeys": _public_keys(nomad)}, _role(mount, nomad)

    def enable() -> None:
        with VaultAdministrator(vault_access(vault)) as administrator:
            administrator.enable_auth(path.removeprefix("auth/"), "jwt")

    def write(where: str, values: dict[str, Any]) -> None:
        with VaultAdministrator(vault_access(vault)) as administrator:
            administrator.write(where, values)

    with VaultAdministrator(vault_access(vault)) as administrator:
        exists = administrator.has_auth(path.removeprefix("auth/"))
        if not exists:
            yield Change(f"a way to sign in to Vault, jwt, at {path}", enable)
        if not exists or not administrator.holds(f"{path}/config", keys):
            text = "Nomad's public keys in Vault, which check who a task is"
            yield Change(text, partial(write, f"{path}/config", keys))
        if not exists or not administrator.holds(role, rules):
            text = f"a role in Vault, {policy_name(mount)}, for the API on Nomad"
            yield Change(text, partial(write, role, rules))


def auth_path(mount: str) -> str:
    """Return where tasks of Nomad sign in to Vault.

    >>> auth_path("picloud")
    'auth/picloud-nomad'
    """
    return f"auth/{mount}-nomad"


def _role(mount: str, nomad: VendorServer) -> dict[str, Any]:
    return {
        "role_type": "jwt",
        "user_claim": "nomad_job_id",
        "bound_audiences": [AUDIENCE],
        "bound_claims": {
            "nomad_job_id": JOB,
            "nomad_namespace": nomad.namespace or "default",
            "nomad_task": TASK,
        },
        "token_policies": [policy_name(mount)],
        "token_no_default_policy": True,
        "token_period": _PERIOD_S,
    }


def _public_keys(nomad: VendorServer) -> list[str]:
    """Return Nomad's public keys, in PEM."""
    with contextlib.closing(NomadGateway(nomad_access(nomad), connections=1)) as gateway:
        try:
            found = jwt.PyJWKSet.from_dict(gateway.keys())
        except jwt.PyJWTError as error:
            raise Unavailable(f"Nomad at {nomad.address} has no keys yet: {error}") from error
    return sorted(
        each.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()
        for each in found.keys
    )
