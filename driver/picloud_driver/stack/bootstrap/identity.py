"""What Vault and Consul need so that the API on Nomad gets its tokens by what Nomad says of it.

Nomad signs who a task is. Vault and Consul check that with Nomad's public keys, and give a token to
the task that is the API, and to no other one.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from picloud_jobspecs.api import AUDIENCE, CONSUL_AUDIENCE, JOB, TASK
from picloud_model.errors import Unavailable

from picloud_driver.consul.administrator import ConsulAdministrator
from picloud_driver.consul.bootstrap import METHOD, POLICY
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.stack.bootstrap.change import Change
from picloud_driver.stack.servers.consul import access as consul_access
from picloud_driver.stack.servers.nomad import access as nomad_access
from picloud_driver.stack.servers.vault import access as vault_access
from picloud_driver.vault.administrator import VaultAdministrator
from picloud_driver.vault.bootstrap import policy_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.stack.addresses import VendorServer

_PERIOD_S: Final = 24 * 3600
"""How long a token of a task that has ended is valid; the API renews its own."""
_ALGORITHM: Final = "RS256"
"""That by which Nomad signs since 1.7; Consul knows no EdDSA, by which older ones do."""


def changes_in_vault(vault: VendorServer, nomad: VendorServer) -> Iterator[Change]:
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


def changes_in_consul(consul: VendorServer, nomad: VendorServer, mark: str) -> Iterator[Change]:
    """Yield what Consul lacks, in order; see `consul.changes`.

    Args:
        consul: Its address and a management token, which it need not know yet.
        nomad: The Nomad that runs the API.
        mark: The description of what belongs to this cluster.
    """
    method, rule = _method(nomad, mark), _rule(nomad, mark)

    def set_method() -> None:
        with ConsulAdministrator(consul_access(consul)) as administrator:
            administrator.set_auth_method(METHOD, method)

    def set_role() -> None:
        with ConsulAdministrator(consul_access(consul)) as administrator:
            administrator.set_role(POLICY, [POLICY], mark)

    def set_rule() -> None:
        with ConsulAdministrator(consul_access(consul)) as administrator:
            administrator.set_binding_rule(METHOD, rule)

    with ConsulAdministrator(consul_access(consul)) as administrator:
        is_bare = not consul.token or not administrator.knows(consul.token)
        exists = not is_bare and administrator.has_auth_method(METHOD)
        if not exists or not administrator.has_auth_method(METHOD, method):
            yield Change("Nomad's public keys in Consul, which check who a task is", set_method)
        if is_bare or administrator.role_policies(POLICY) != [POLICY]:
            yield Change(f"a role in Consul, {POLICY}, for the API on Nomad", set_role)
        if not exists or not administrator.has_binding_rule(METHOD, rule):
            yield Change("a rule in Consul, which gives this role to the API alone", set_rule)


def _method(nomad: VendorServer, mark: str) -> dict[str, Any]:
    """Return how Consul checks what Nomad has signed, with the names of Consul's fields."""
    claims = {"nomad_job_id": "job", "nomad_namespace": "namespace", "nomad_task": "task"}
    return {
        "Type": "jwt",
        "Description": mark,
        "Config": {
            "JWTValidationPubKeys": _public_keys(nomad),
            "JWTSupportedAlgs": [_ALGORITHM],
            "BoundAudiences": [CONSUL_AUDIENCE],
            "ClaimMappings": claims,
        },
    }


def _rule(nomad: VendorServer, mark: str) -> dict[str, str]:
    """Return which tasks get the role; nothing in it is a text of users."""
    claims = {"job": JOB, "namespace": nomad.namespace or "default", "task": TASK}
    selector = " and ".join(f'value.{name} == "{value}"' for name, value in claims.items())
    return {"BindType": "role", "BindName": POLICY, "Selector": selector, "Description": mark}


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
