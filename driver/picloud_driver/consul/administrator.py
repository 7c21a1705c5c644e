"""What an administrator does in Consul: policies, tokens and gossip keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import Unavailable

from picloud_driver.consul.gateway import ConsulGateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.consul.gateway import ConsulAccess

_OK: Final = 200
_FORBIDDEN: Final = 403
_DISABLED: Final = "ACL support disabled"
_IN_USE: Final = "SecretID is already in use"
_NO_LONGER: Final = "no longer allowed"
_METHOD: Final = "/v1/acl/auth-method"
_RULE: Final = "/v1/acl/binding-rule"
_KEYRING: Final = "/v1/operator/keyring"


class ConsulPolicy(msgspec.Struct, frozen=True, rename="pascal"):
    """A policy: what it allows, in HCL, and what it is for."""

    id: str = msgspec.field(name="ID")
    rules: str = ""
    description: str = ""


class _Keyring(msgspec.Struct, frozen=True, rename="pascal"):
    """What the agents of one gossip pool accept."""

    keys: dict[str, int] | None = None


class _Token(msgspec.Struct, frozen=True, rename="pascal"):
    accessor_id: str = msgspec.field(name="AccessorID")
    create_index: int
    secret_id: str = msgspec.field(name="SecretID", default="")
    policies: list[dict[str, str]] | None = None
    auth_method: str = ""

    @property
    def names(self) -> list[str]:
        return [one.get("Name", "") for one in self.policies or ()]


class _Role(msgspec.Struct, frozen=True, rename="pascal"):
    id: str = msgspec.field(name="ID")
    policies: list[dict[str, str]] | None = None


class _Rule(msgspec.Struct, frozen=True, rename="pascal"):
    """What a rule of an auth method says, and its number."""

    id: str = msgspec.field(name="ID")
    auth_method: str
    bind_type: str = ""
    bind_name: str = ""
    selector: str = ""
    description: str = ""


class _Config(msgspec.Struct, frozen=True, rename="pascal"):
    version: str


class _Agent(msgspec.Struct, frozen=True, rename="pascal"):
    config: _Config


class ConsulAdministrator(contextlib.AbstractContextManager["ConsulAdministrator"]):
    """Requests with a management token. It blocks.

    Every method raises `Unavailable` when Consul does not answer, or refuses the token.

    Args:
        access: Consul's address and the token, which is not stored.
    """

    def __init__(self, access: ConsulAccess) -> None:
        self._gateway = ConsulGateway(access, connections=1)
        self._address = access.address

    def __exit__(self, *_: object) -> None:
        self._gateway.close()

    def make_first_token(self, secret: str) -> None:
        """Make the first management token, which a new Consul grants once.

        Raises:
            Unavailable: When another administrator has made it, or Consul has no ACLs.
        """
        code, text = self._gateway.request(
            "PUT", "/v1/acl/bootstrap", {"BootstrapSecret": secret}, refusable=True
        )
        if code == _OK:
            return
        if _NO_LONGER in text:
            raise Unavailable(
                f"Consul at {self._address} has a management token already: set "
                "CONSUL_HTTP_TOKEN to one."
            )
        if _DISABLED in text:
            raise Unavailable(
                f"Consul at {self._address} has no ACLs: set `acl.enabled` to true and "
                '`acl.default_policy` to "deny" in the configuration of its servers.'
            )
        raise Unavailable(f"Consul at {self._address} makes no first token: {text}.")

    def is_open(self, key: str) -> bool:
        """Whether this, as a client without a token, may read a key."""
        code, _ = self._gateway.request("GET", f"/v1/kv/{key}", refusable=True)
        return code != _FORBIDDEN

    def knows(self, token: str) -> bool:
        """Whether a token is valid; the present one need not be."""
        path = "/v1/acl/token/self"
        code, _ = self._gateway.request("GET", path, token=token, refusable=True)
        return code == _OK

    def version(self) -> str:
        """Return the version of the agent that answers."""
        _, text = self._gateway.request("GET", "/v1/agent/self")
        return msgspec.json.decode(text, type=_Agent).config.version

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""
        return self._gateway.keys(prefix)

    def policy(self, name: str) -> ConsulPolicy | None:
        """Return a policy; None if there is none of this name."""
        path = f"/v1/acl/policy/name/{name}"
        code, text = self._gateway.request("GET", path, missing=True)
        return msgspec.json.decode(text, type=ConsulPolicy) if code == _OK else None

    def set_policy(self, name: str, rules: str, description: str = "") -> None:
        """Make a policy, or give the one of this name these rules.

        Args:
            name: Letters, digits, hyphens and underscores.
            rules: What it allows, in HCL.
            description: What it is for.
        """
        body = {"Name": name, "Rules": rules, "Description": description}
        if found := self.policy(name):
            self._gateway.request("PUT", f"/v1/acl/policy/{found.id}", body | {"ID": found.id})
        else:
            self._gateway.request("PUT", "/v1/acl/policy", body)

    def create_token(self, secret: str, policy: str) -> None:
        """Make a token with one policy; one that exists stays as it is.

        Args:
            secret: The token, a UUID.
            policy: The name of the policy.
        """
        body = {"SecretID": secret, "Policies": [{"Name": policy}]}
        self._gateway.request("PUT", "/v1/acl/token", body, passes=_IN_USE)

    def revoke_tokens(self, policy: str, method: str, kept: str) -> int:
        """Delete the tokens of the API, except for one and those that are newer; return how many.

        Args:
            policy: The name of the policy that they have, and no other.
            method: The auth method by which others of them were made.
            kept: The secret of the token that stays.
        """
        _, text = self._gateway.request("GET", "/v1/acl/tokens")
        found = msgspec.json.decode(text, type=list[_Token])
        since = max((each.create_index for each in found if each.secret_id == kept), default=0)
        others = [
            each
            for each in found
            if (each.names == [policy] and each.secret_id != kept)
            or (each.auth_method == method and each.create_index < since)
        ]
        for each in others:
            self._gateway.request("DELETE", f"/v1/acl/token/{each.accessor_id}")
        return len(others)

    def has_auth_method(self, name: str, values: Mapping[str, Any] | None = None) -> bool:
        """Whether there is an auth method of this name, with these values.

        Args:
            name: Its name.
            values: With the names of Consul's fields; None for any.
        """
        path = f"/v1/acl/auth-method/{name}"
        code, text = self._gateway.request("GET", path, missing=True)
        if code != _OK:
            return False
        found = msgspec.json.decode(text)
        return all(found.get(field) == value for field, value in (values or {}).items())

    def set_auth_method(self, name: str, values: Mapping[str, Any]) -> None:
        """Make an auth method, or give the one of this name these values."""
        path = f"/v1/acl/auth-method/{name}" if self.has_auth_method(name) else _METHOD
        self._gateway.request("PUT", path, {"Name": name, **values})

    def role_policies(self, name: str) -> list[str] | None:
        """Return the names of the policies of a role; None if there is none of this name."""
        found = self._role(name)
        return [each["Name"] for each in found.policies or ()] if found else None

    def set_role(self, name: str, policies: Sequence[str], description: str = "") -> None:
        """Make a role, or give the one of this name these policies."""
        named = [{"Name": each} for each in policies]
        body = {"Name": name, "Policies": named, "Description": description}
        found = self._role(name)
        self._gateway.request("PUT", f"/v1/acl/role/{found.id}" if found else "/v1/acl/role", body)

    def has_binding_rule(self, method: str, values: Mapping[str, str]) -> bool:
        """Whether an auth method has this rule and no other one.

        Args:
            method: The name of the method.
            values: With the names of Consul's fields.
        """
        found = [msgspec.to_builtins(each) for each in self._rules(method)]
        return [{**each, **values} for each in found] == found and len(found) == 1

    def set_binding_rule(self, method: str, values: Mapping[str, str]) -> None:
        """Give an auth method this rule in place of all others."""
        for each in self._rules(method):
            self._gateway.request("DELETE", f"{_RULE}/{each.id}")
        self._gateway.request("PUT", _RULE, {"AuthMethod": method, **values})

    def _role(self, name: str) -> _Role | None:
        code, text = self._gateway.request("GET", f"/v1/acl/role/name/{name}", missing=True)
        return msgspec.json.decode(text, type=_Role) if code == _OK else None

    def _rules(self, method: str) -> list[_Rule]:
        _, text = self._gateway.request("GET", f"{_RULE}s")
        found = msgspec.json.decode(text, type=list[_Rule])
        return [each for each in found if each.auth_method == method]

    def gossip_keys(self) -> list[str]:
        """Return the gossip keys that agents accept.

        Raises:
            Unavailable: When an agent does not answer, or gossip is not encrypted.
        """
        _, text = self._gateway.request("GET", _KEYRING)
        pools = msgspec.json.decode(text, type=list[_Keyring])
        return sorted({key for pool in pools for key in pool.keys or ()})

    def use_gossip_key(self, key: str) -> None:
        """Let all agents encrypt gossip with a key; they accept those they had before, too.

        Args:
            key: 32 bytes in base64.

        Raises:
            Unavailable: When an agent does not answer; the call may be repeated.
        """
        for method in ("POST", "PUT"):
            self._gateway.request(method, _KEYRING, {"Key": key})

    def remove_gossip_key(self, key: str) -> None:
        """Let no agent accept a gossip key; Consul refuses this for the one in use."""
        self._gateway.request("DELETE", _KEYRING, {"Key": key})
