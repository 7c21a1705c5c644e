"""Vault as an issuer of OpenID Connect, for tests that sign people in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import urllib3
from picloud_driver.identity import IssuerAccess

if TYPE_CHECKING:
    from tests.servers.run_vault import Vault


class VaultIssuer:
    """Vault with a user, a client, and what a browser of the user does there."""

    def __init__(self, server: Vault, *redirect_uris: str) -> None:
        self._address, self._token = server.address, server.root_token
        self._call("POST", "sys/auth/userpass", {"type": "userpass"})
        self._call("POST", "auth/userpass/users/ada", {"password": "secret"})
        self.allow(*redirect_uris)
        made = self._call("GET", "identity/oidc/client/picloud")["data"]
        login = self._call("POST", "auth/userpass/login/ada", {"password": "secret"})["auth"]
        self.subject, self._user = login["entity_id"], login["client_token"]
        self.access = IssuerAccess(
            url=f"{server.address}/v1/identity/oidc/provider/default",
            client_id=made["client_id"],
            client_secret=made["client_secret"],
        )

    def allow(self, *redirect_uris: str) -> None:
        """Let the client have users sent back to these addresses."""
        client = {"redirect_uris": redirect_uris, "assignments": ["allow_all"]}
        self._call("POST", "identity/oidc/client/picloud", client)

    def _call(self, verb: str, path: str, body: Any = None, token: str = "") -> Any:
        reply = urllib3.request(
            verb,
            f"{self._address}/v1/{path}",
            body=None if body is None else json.dumps(body),
            headers={"X-Vault-Token": token or self._token},
        )
        assert reply.status < 300, reply.data
        return json.loads(reply.data) if reply.data else None

    def sign_in(self, address: str) -> str:
        """Open the address of the issuer's page as the user; return the code."""
        query = urlsplit(address).query
        path = f"identity/oidc/provider/default/authorize?{query}"
        reply = self._call("GET", path, token=self._user)
        assert reply["state"] == parse_qs(query)["state"][0]
        return str(reply["code"])
