"""What each identity port promises; with Vault as a real issuer of OpenID Connect."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from picloud_driver.identity import IssuerAccess, NoIssuer, SignInAttempt
from picloud_driver.identity.oidc import OidcIssuer
from picloud_model.errors import KeyRefused, NotAllowed, PiCloudError, Unavailable

from tests.servers.run_vault import vault
from tests.servers.vault_issuer import VaultIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator


BACK = "http://127.0.0.1:9/sign-in/issuer/return"
ATTEMPT = SignInAttempt(
    redirect_uri=BACK, state="state" * 5, nonce="nonce" * 5, verifier="verifier" * 6
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[VaultIssuer]:
    """A Vault server for all tests."""
    with vault() as server:
        yield VaultIssuer(server, BACK)


@pytest.fixture
async def port(issuer: VaultIssuer) -> OidcIssuer:
    """The adapter for it."""
    return OidcIssuer(issuer.access)


async def test_an_issuer_says_who_has_signed_in(issuer: VaultIssuer, port: OidcIssuer) -> None:
    """The subject is the one that the issuer has; the code is accepted once."""
    code = issuer.sign_in(await port.address(ATTEMPT))

    identity = await port.identify(ATTEMPT, code)

    assert port.issuer == "127.0.0.1"
    assert (identity.subject, bool(identity.name)) == (issuer.subject, True)
    with pytest.raises(KeyRefused, match="did not confirm"):
        await port.identify(ATTEMPT, code)
    await port.close()


@pytest.mark.parametrize("field", ["nonce", "verifier", "redirect_uri"])
async def test_a_code_of_another_attempt_is_refused(
    issuer: VaultIssuer, port: OidcIssuer, field: str
) -> None:
    """A stolen code is of no use without what only the server knows of the attempt."""
    code = issuer.sign_in(await port.address(ATTEMPT))
    other = msgspec.structs.replace(ATTEMPT, **{field: "other" * 10})

    with pytest.raises(KeyRefused, match="did not confirm"):
        await port.identify(other, code)


@pytest.mark.parametrize("code", ["", "x", "a b", "\n", "x" * 10_000])
async def test_an_invented_code_is_refused(port: OidcIssuer, code: str) -> None:
    """Whatever it is."""
    with pytest.raises(KeyRefused, match="did not confirm"):
        await port.identify(ATTEMPT, code)


async def test_a_wrong_client_secret_opens_nothing(issuer: VaultIssuer) -> None:
    """The issuer knows its clients."""
    port = OidcIssuer(msgspec.structs.replace(issuer.access, client_secret="x"))
    code = issuer.sign_in(await port.address(ATTEMPT))

    with pytest.raises(KeyRefused, match="did not confirm"):
        await port.identify(ATTEMPT, code)


async def test_an_issuer_that_is_away_is_unavailable() -> None:
    """The error names it, and says that it may work later."""
    access = IssuerAccess(url="http://127.0.0.1:9", client_id="c", client_secret="s")

    with pytest.raises(Unavailable, match=r"The issuer 127\.0\.0\.1 cannot be used: "):
        await OidcIssuer(access).address(ATTEMPT)


async def test_no_issuer_refuses_everything() -> None:
    """It has no name, and begins nothing."""
    port = NoIssuer()

    assert port.issuer == ""
    with pytest.raises(NotAllowed):
        await port.address(ATTEMPT)
    with pytest.raises(NotAllowed):
        await port.identify(ATTEMPT, "x")
    await port.close()


class ForgingIssuer(HTTPServer):
    """An issuer that returns whatever tokens a test makes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.claimed = self.url
        self.key = rsa.generate_private_key(65537, 2048)
        self.token = ""
        self.access = IssuerAccess(url=self.url, client_id="picloud", client_secret="s" * 40)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a right token, some of them changed; None leaves one out."""
        claims = {
            "iss": self.url, "aud": "picloud", "sub": "7", "nonce": ATTEMPT.nonce, "iat": 1,
            "exp": 2**40, "email": "ada@x.org", "email_verified": True,
        }  # fmt: skip
        return {name: value for name, value in (claims | changed).items() if value is not None}

    def sign(self, claims: dict[str, Any]) -> None:
        """Return a token with these claims from now on, signed by the key of the issuer."""
        self.token = jwt.encode(claims, self.key, "RS256", headers={"kid": "k"})

    def reply(self, path: str) -> Any:
        """Return what is at a path."""
        if path.endswith("configuration"):
            return {
                "issuer": self.claimed,
                "authorization_endpoint": f"{self.url}/authorize?x=1",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "scopes_supported": ["openid", "email"],
            }
        if path == "/keys":
            return {"keys": [{**RSAAlgorithm.to_jwk(self.key.public_key(), True), "kid": "k"}]}
        return {"id_token": self.token}


class _Handler(BaseHTTPRequestHandler):
    server: ForgingIssuer

    def do_GET(self) -> None:
        data = json.dumps(self.server.reply(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *given: object) -> None:
        """Be quiet."""


@pytest.fixture
def forger() -> Iterator[ForgingIssuer]:
    """An issuer in this process."""
    server = ForgingIssuer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_scopes_and_names_are_those_that_the_issuer_has(forger: ForgingIssuer) -> None:
    """An e-mail address is requested if it knows that scope, and a verified one is the name."""
    port = OidcIssuer(forger.access)
    forger.sign(forger.claims())

    address = await port.address(ATTEMPT)
    identity = await port.identify(ATTEMPT, "code")

    query = parse_qs(urlsplit(address).query)
    assert (query["scope"], query["x"]) == (["openid email"], ["1"])
    assert urlencode({"redirect_uri": BACK}) in address
    assert ATTEMPT.verifier not in address
    assert (identity.subject, identity.name) == ("7", "ada@x.org")
    forger.sign(forger.claims(email_verified=False))
    assert (await port.identify(ATTEMPT, "code")).name == "7"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://evil.example"},
        {"aud": "another client"},
        {"aud": ["picloud", "other"], "azp": "other"},
        {"nonce": "another nonce"},
        {"nonce": None},
        {"sub": None},
        {"exp": 1000},
        {"exp": None},
    ],
    ids=str,
)
async def test_a_token_for_something_else_is_refused(
    forger: ForgingIssuer, changed: dict[str, Any]
) -> None:
    """The issuer has signed it, but not for this server, this attempt and this time."""
    forger.sign(forger.claims(**changed))

    with pytest.raises(KeyRefused, match="did not confirm"):
        await OidcIssuer(forger.access).identify(ATTEMPT, "code")


@pytest.mark.parametrize("kind", ["unsigned", "by the client's secret", "by another key", "none"])
async def test_a_token_that_the_issuer_has_not_signed_is_refused(
    forger: ForgingIssuer, kind: str
) -> None:
    """Neither a token without a signature nor one by a secret that others know, too."""
    headers = {"kid": "k"}
    other = rsa.generate_private_key(65537, 2048)
    forger.token = {
        "unsigned": jwt.encode(forger.claims(), "", "none", headers=headers),
        "by the client's secret": jwt.encode(forger.claims(), "s" * 40, "HS256", headers=headers),
        "by another key": jwt.encode(forger.claims(), other, "RS256", headers=headers),
        "none": "",
    }[kind]

    with pytest.raises(KeyRefused, match="did not confirm"):
        await OidcIssuer(forger.access).identify(ATTEMPT, "code")


async def test_an_issuer_that_is_another_one_is_not_used(forger: ForgingIssuer) -> None:
    """What it says of itself has to be what the operator has chosen."""
    forger.claimed = "https://evil.example"

    with pytest.raises(PiCloudError, match=r"it says that it is 'https://evil\.example'"):
        await OidcIssuer(forger.access).address(ATTEMPT)
