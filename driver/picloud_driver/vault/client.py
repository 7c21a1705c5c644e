"""How hvac is set up to speak to one Vault: by what it is given, not by what it finds around."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import hvac
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

_TIMEOUT_S: Final = (2.0, 5.0)
"""Longest time to connect, and without a byte of an answer."""


@dataclasses.dataclass(frozen=True)
class VaultAccess:
    """Where Vault answers, and as whom.

    Args:
        address: URL of the server.
        token: Ours. It is in no message and no `repr`.
        mount: Where its secrets engine KV version 2 is mounted that we use.
        ca_file: Who signed the server's certificate, in PEM; "" for those whom everybody trusts.

    >>> VaultAccess(token="hidden")
    VaultAccess(address='http://127.0.0.1:8200', mount='picloud', ca_file='')
    """

    address: str = "http://127.0.0.1:8200"
    token: str = dataclasses.field(default="", repr=False)
    mount: str = "picloud"
    ca_file: str = ""


def vault_client(access: VaultAccess, connections: int) -> Any:
    """A client of hvac's; any number of threads may use it.

    Args:
        access: Where, and as whom.
        connections: How many to keep open.
    """
    # Once, for a connection that was closed meanwhile: a repeat of any request made here does
    # what the first would have done.
    again = Retry(1, redirect=0, allowed_methods=None)
    session = requests.Session()
    # Without this, proxies, certificates and ~/.netrc would decide.
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(1, connections, max_retries=again))
    session.verify = access.ca_file or True
    return hvac.Client(
        access.address,
        token=access.token,
        # Where it is None, VAULT_CLIENT_CERT decides.
        cert=(),
        verify=session.verify,
        timeout=_TIMEOUT_S,
        session=session,
    )
