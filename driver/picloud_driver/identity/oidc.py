"""An issuer of OpenID Connect, such as Vault: the authorization code flow with PKCE."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import jwt
import msgspec
import urllib3
from picloud_model.errors import KeyRefused, Unavailable

from picloud_driver.identity.port import IdentityPort, IssuedIdentity
from picloud_driver.network import reason

if TYPE_CHECKING:
    from picloud_driver.identity.port import IssuerAccess, SignInAttempt

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the issuer can make: none with a secret that is known here, too."""
REQUEST_S: Final = 10.0
LEEWAY_S: Final = 60
"""How much the clock of the issuer may differ."""
KEPT_S: Final = 3600.0
"""How long what the issuer says of itself is used."""
_SCOPES: Final = ("openid", "email", "profile")
_MOST_BYTES: Final = 1024 * 1024
_CODE: Final = re.compile(r"[!-~]{1,2048}")
_NOT_CONFIRMED: Final = "{} did not confirm who you are: sign in again."


class _Issuer(msgspec.Struct, frozen=True):
    """What an issuer says of itself (OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    scopes_supported: tuple[str, ...] = ("openid",)


class OidcIssuer(IdentityPort):
    """Asks an issuer by HTTP, in threads."""

    adapter = "oidc"

    def __init__(self, access: IssuerAccess) -> None:
        self._access = access
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(REQUEST_S), retries=False, maxsize=2
        )
        self._known: _Issuer | None = None
        self._keys: jwt.PyJWKClient | None = None
        self._known_at = 0.0

    @property
    def issuer(self) -> str:
        """The host of the issuer."""
        return urlsplit(self._access.url).hostname or ""

    async def address(self, attempt: SignInAttempt) -> str:
        """Return the address of the issuer's page."""
        issuer, _ = await asyncio.to_thread(self._discovered)
        digest = sha256(attempt.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._access.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(each for each in _SCOPES if each in issuer.scopes_supported),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in issuer.authorization_endpoint else "?"
        return f"{issuer.authorization_endpoint}{joint}{urlencode(query)}"

    async def identify(self, attempt: SignInAttempt, code: str) -> IssuedIdentity:
        """Redeem the code, and check what the issuer returns."""
        if not _CODE.fullmatch(code):
            raise KeyRefused(_NOT_CONFIRMED.format(self.issuer))
        return await asyncio.to_thread(self._identify, attempt, code)

    def _identify(self, attempt: SignInAttempt, code: str) -> IssuedIdentity:
        issuer, keys = self._discovered()
        token = self._redeemed(issuer, attempt, code)
        try:
            key = keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=ALGORITHMS,
                audience=self._access.client_id,
                issuer=issuer.issuer,
                leeway=LEEWAY_S,
                options={"require": ["aud", "exp", "iat", "iss", "nonce", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise self._away(error) from None
        except jwt.PyJWTError:
            raise KeyRefused(_NOT_CONFIRMED.format(self.issuer)) from None
        # A token for several clients names the one that it was issued to.
        is_other = claims.get("azp", self._access.client_id) != self._access.client_id
        nonce = str(claims["nonce"]).encode()
        if is_other or not hmac.compare_digest(nonce, attempt.nonce.encode()):
            raise KeyRefused(_NOT_CONFIRMED.format(self.issuer))
        return IssuedIdentity(str(claims["sub"]), _name(claims))

    def _redeemed(self, issuer: _Issuer, attempt: SignInAttempt, code: str) -> str:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        credential = f"{self._access.client_id}:{self._access.client_secret}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(credential.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        status, data = self._request("POST", issuer.token_endpoint, urlencode(fields), headers)
        if status >= 500:  # noqa: PLR2004 - the class of server errors
            raise self._away(f"status {status}")
        token = data.get("id_token") if status == 200 and isinstance(data, dict) else None  # noqa: PLR2004
        if not isinstance(token, str):
            raise KeyRefused(_NOT_CONFIRMED.format(self.issuer))
        return token

    def _discovered(self) -> tuple[_Issuer, jwt.PyJWKClient]:
        """Return what the issuer says of itself, and its keys."""
        now = time.monotonic()
        if self._known is None or self._keys is None or now - self._known_at > KEPT_S:
            url = self._access.url
            status, data = self._request("GET", f"{url}/.well-known/openid-configuration")
            try:
                found = msgspec.convert(data, _Issuer)
            except msgspec.ValidationError:
                raise self._away(f"status {status}") from None
            if found.issuer.rstrip("/") != url:
                raise self._away(f"it says that it is {found.issuer!r:.200}")
            self._known, self._known_at = found, now
            self._keys = jwt.PyJWKClient(found.jwks_uri, timeout=REQUEST_S)
        return self._known, self._keys

    def _request(
        self, verb: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        try:
            reply = self._http.request(
                verb, url, body=body, headers=headers, redirect=False, preload_content=False
            )
            data = reply.read(_MOST_BYTES, decode_content=True)
            reply.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._away(error) from None
        try:
            return reply.status, json.loads(data)
        except ValueError:
            return reply.status, None

    def _away(self, cause: BaseException | str) -> Unavailable:
        words = cause if isinstance(cause, str) else reason(cause)
        return Unavailable(f"The issuer {self.issuer} cannot be used: {words}.")

    async def close(self) -> None:
        """Close the connections."""
        self._http.clear()


def _name(claims: dict[str, Any]) -> str:
    """Return the name to show: an address if the issuer has verified it, or else what there is.

    >>> _name({"sub": "7", "email": "ada@example.org", "email_verified": True})
    'ada@example.org'
    >>> _name({"sub": "7", "email": "ada@example.org", "preferred_username": "ada"})
    'ada'
    """
    names = [claims.get("preferred_username"), claims.get("name"), claims["sub"]]
    if claims.get("email_verified") is True:
        names.insert(0, claims.get("email"))
    return next(str(name) for name in names if name)
