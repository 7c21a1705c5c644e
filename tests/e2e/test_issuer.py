"""People sign in with Vault as their issuer of OpenID Connect, from an invitation to a page."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3
from cloud._resources.member import MemberClient
from picloud_model.wire.role import Role

from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.servers.run_vault import vault
from tests.servers.vault_issuer import VaultIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BACK = "/sign-in/issuer/return"


class StackWithIssuer(HashiCorpStack):
    """A stack whose people sign in with an issuer."""

    def __init__(self, data: Path, issuer: VaultIssuer) -> None:
        super().__init__(data)
        self._issuer = issuer.access

    def _environment(self) -> Mapping[str, str]:
        named = {
            "PICLOUD_OIDC_ISSUER": self._issuer.url,
            "PICLOUD_OIDC_CLIENT_ID": self._issuer.client_id,
            "PICLOUD_OIDC_CLIENT_SECRET": self._issuer.client_secret,
        }
        return {**super()._environment(), **named}


class Visitor:
    """A browser that keeps all its cookies, and follows nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> Any:
        """Open a page."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        reply = urllib3.request("GET", f"{self._url}{path}", headers=headers, redirect=False)
        for line in reply.headers.getlist("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value or value == '""':
                del self.cookies[name]
        return reply


@pytest.fixture(scope="module")
def issuer() -> Iterator[VaultIssuer]:
    """A Vault server, besides that of the stack: an organization has its own."""
    with vault() as server:
        yield VaultIssuer(server, f"http://127.0.0.1:9{BACK}")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, issuer: VaultIssuer) -> Iterator[Any]:
    """A stack whose people sign in with it."""
    started = StackWithIssuer(tmp_path_factory.mktemp("shared"), issuer)
    started.start()
    issuer.allow(f"{started.url}{BACK}")
    yield started
    started.stop()


def test_a_person_joins_and_signs_in(shared: HashiCorpStack, issuer: VaultIssuer) -> None:
    """By an invitation and the issuer; then by the issuer alone; another browser's attempt is
    refused, and a code is accepted once.
    """
    with contextlib.closing(shared.client()) as client:
        invited = MemberClient(client.transport).invite(Role.READER).link
    link = urlsplit(invited).path.rpartition("/")[2]
    new = Visitor(shared.url)
    assert b"Sign in with 127.0.0.1" in new.get("/sign-in").data

    without = _returned(new, issuer, "/sign-in/issuer")
    joined = _returned(new, issuer, f"/sign-in/issuer?invitation={link}")
    page = new.get("/jobs").data.decode()
    again, stranger = Visitor(shared.url), Visitor(shared.url)
    signed_in = _returned(again, issuer, "/sign-in/issuer")
    away = again.get("/sign-in/issuer").headers["Location"]
    back = f"{BACK}?{urlencode(_sent_back(issuer, away))}"
    stolen = stranger.get(back)
    used = again.get(back)
    twice = again.get(back)

    assert (without.status, b"not a member of an account here" in without.data) == (401, True)
    assert (joined.status, joined.headers["Location"]) == (303, "/jobs")
    assert "reader of account <code>a0000001</code>" in " ".join(page.split())
    assert (signed_in.status, again.get("/jobs").status) == (303, 200)
    assert (stolen.status, used.status, twice.status) == (401, 303, 401)


def _sent_back(issuer: VaultIssuer, address: str) -> dict[str, str]:
    """Return what the issuer's page sends back with the browser."""
    query = dict(pair.split("=", 1) for pair in urlsplit(address).query.split("&"))
    return {"state": query["state"], "code": issuer.sign_in(address)}


def _returned(browser: Visitor, issuer: VaultIssuer, path: str) -> Any:
    """Sign in at the issuer; return the reply when the browser comes back."""
    address = browser.get(path).headers["Location"]
    assert urlsplit(address).hostname == "127.0.0.1"
    return browser.get(f"{BACK}?{urlencode(_sent_back(issuer, address))}")
