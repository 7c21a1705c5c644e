"""A client of hvac's for one Vault, configured by arguments and not by the environment."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import hvac
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

_TIMEOUT_S: Final = (2.0, 5.0)
"""Longest time to connect, and without a byte of an answer."""


SSH_ROLE: Final = "job"
"""The role by which certificates are signed."""
SSH_PERMITTED: Final = ("permit-port-forwarding", "permit-pty")
"""What certificates permit."""


def ssh_mount(mount: str) -> str:
    """Return the mount of the SSH engine next to a mount of secrets.

    >>> ssh_mount("picloud")
    'picloud-ssh'
    """
    return f"{mount}-ssh"


def sources_policy(mount: str) -> str:
    """Return the name of the policy that says from which roles secrets are minted for jobs.

    The operator of Vault writes it; the server's token has it in any case.

    >>> sources_policy("picloud")
    'picloud-sources'
    """
    return f"{mount}-sources"


@dataclasses.dataclass(frozen=True)
class VaultAccess:
    """The address of Vault and the credentials for it.

    Args:
        address: URL of the server.
        token: The client's token. It is in no message and no `repr`.
        mount: The mount of the secrets engine KV version 2.
        ca_file: The authority that signed the server's certificate, in PEM; "" for public ones.
        cert_file: The client's certificate, if Vault requires one.
        key_file: The key of the client's certificate.

    >>> VaultAccess(token="hidden").mount
    'picloud'
    """

    address: str = "http://127.0.0.1:8200"
    token: str = dataclasses.field(default="", repr=False)
    mount: str = "picloud"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


def vault_client(access: VaultAccess, connections: int) -> Any:
    """Return a client of hvac's; any number of threads may use it.

    Args:
        access: Address and credentials.
        connections: How many to keep open.
    """
    # One retry, for a kept connection that the server has closed: every request made here can be
    # repeated without harm.
    again = Retry(1, redirect=0, allowed_methods=None)
    session = requests.Session()
    # Otherwise the environment and ~/.netrc would add proxies, certificates and passwords.
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(1, connections, max_retries=again))
    session.verify = access.ca_file or True
    return hvac.Client(
        access.address,
        token=access.token,
        # With None, hvac would use VAULT_CLIENT_CERT.
        cert=(access.cert_file, access.key_file) if access.cert_file else (),
        verify=session.verify,
        timeout=_TIMEOUT_S,
        session=session,
    )
