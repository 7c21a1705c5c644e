"""What Vault mints for jobs: secrets with leases. It blocks; call it from a thread."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError
from picloud_model.errors import RequestRefused
from requests import RequestException

from picloud_driver.vault import faults
from picloud_driver.vault.client import sources_policy, ssh_mount, vault_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from picloud_driver.vault.client import VaultAccess

_OWN: Final = ("auth", "cubbyhole", "identity", "sys")
"""Mounts of Vault's own, from which nothing is minted for jobs."""


class VaultLease(msgspec.Struct, frozen=True):
    """What Vault has made: its fields, and the id of the lease, valid for some seconds."""

    fields: dict[str, str]
    id: str
    valid_s: float
    renewable: bool

    def __repr__(self) -> str:
        return f"VaultLease({self.id!r})"


class VaultLeases:
    """Reads or writes the role of a secrets engine, and ends what it has made.

    Which roles is decided by a policy that the operator of Vault writes: the server's own rights
    end at its mounts.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: VaultAccess, connections: int) -> None:
        self._where = f"Vault at {access.address}"
        self._mount = access.mount
        self._client = vault_client(access, connections)

    def mint(self, path: str, parameters: Mapping[str, str]) -> VaultLease:
        """Return what Vault makes now by the role at a path; see `SecretPort.mint`."""
        self._require_foreign(path)
        with self._explained(), self._role_explained(path, writes=bool(parameters)):
            if parameters:
                answer = self._client.write_data(path, data=dict(parameters))
            else:
                answer = self._client.read(path)
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
            raise RequestRefused(f"{self._where}: {path} has no role that mints secrets.")
        if not answer.get("lease_id"):
            message = (
                f"{self._where}: what {path} mints has no lease, so that it cannot be revoked; for "
                "a role of the engine pki, set generate_lease=true."
            )
            raise RequestRefused(message)
        fields = {name: _text(value) for name, value in answer["data"].items()}
        valid_s = float(answer.get("lease_duration") or 0)
        return VaultLease(fields, answer["lease_id"], valid_s, bool(answer.get("renewable")))

    def renew(self, lease: str) -> float:
        """Renew a lease; return for how many seconds it is valid."""
        with self._explained():
            try:
                answer = self._client.sys.renew_lease(lease)
            except InvalidRequest as error:
                message = f"{self._where}: a lease has ended, or cannot be renewed."
                raise RequestRefused(message) from error
        return float(answer.get("lease_duration") or 0)

    def revoke(self, lease: str) -> None:
        """End a lease; Vault itself tries again if an engine cannot end it now."""
        with self._explained():
            try:
                self._client.sys.revoke_lease(lease)
            except InvalidRequest as error:
                if faults.NO_LEASE not in str(error):
                    raise

    def close(self) -> None:
        """Close the connections; one in use closes when its response has arrived."""
        self._client.adapter.close()

    def _require_foreign(self, path: str) -> None:
        """Refuse the mounts of Vault and of the server itself, whatever a policy allows."""
        mount = path.partition("/")[0]
        own = (*_OWN, self._mount, f"{self._mount}-transit", ssh_mount(self._mount))
        if mount in own:
            message = f"{self._where}: no secrets can be minted from the mount {mount}."
            raise RequestRefused(message, field="path")

    @contextlib.contextmanager
    def _role_explained(self, path: str, *, writes: bool) -> Iterator[None]:
        """Say what an administrator of Vault has to do so that a role can be used."""
        try:
            yield
        except Forbidden as error:
            if "invalid token" in str(error):
                raise
            right = "update" if writes else "read"
            message = (
                f"{self._where}: the server may not use {path}: add "
                f'path "{path}" {{ capabilities = ["{right}"] }} to the policy '
                f"{sources_policy(self._mount)}; if it is there, the server has an old token: run "
                "`picloud admin bootstrap`, and start it with the new one."
            )
            raise RequestRefused(message, field="role") from error
        except (InvalidPath, InvalidRequest) as error:
            message = (
                f"{self._where}: {path} cannot be used: is there such a role, and does it allow "
                "these parameters?"
            )
            raise RequestRefused(message, field="role") from error

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of hvac and requests into one sentence."""
        try:
            yield
        except (VaultError, RequestException, OSError) as error:
            raise faults.refusal(error, self._where) from error


def _text(value: Any) -> str:
    r"""Return a field as the text of a variable: lists of texts, as of certificates, in lines.

    >>> _text("a"), _text(["a", "b"]), _text(7)
    ('a', 'a\nb', '7')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    return json.dumps(value)
