"""Identities: people who sign in at an issuer of OpenID Connect, in place of a password here."""

from __future__ import annotations

import hmac
import secrets as entropy
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from picloud_driver.identity import SignInAttempt
from picloud_model.errors import KeyRefused

from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.people.person import MAX_NAME, PersonRecord

if TYPE_CHECKING:
    from picloud_driver.identity import IdentityPort, IssuedIdentity

    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts
    from picloud_api.usecases.accounts.people.invite import Invites
    from picloud_api.usecases.accounts.people.person import People

ATTEMPT_S: Final = 600
"""How long a person may take to sign in at the issuer."""
_OVER: Final = "This attempt to sign in is over, or was begun in another browser: begin again."


class IdentityRecord(NamedRecord, frozen=True):
    """The name of the person with an identity, under the key `identities/<digest>`."""

    prefix: ClassVar[str] = "identities/"

    name: str


class BegunSignIn(NamedTuple):
    """Where a browser signs in, and what it keeps meanwhile."""

    address: str
    ticket: str


class IssuedIdentities:
    """Signs people in by their identities.

    Args:
        accounts: The accounts, whose store is used.
        people: The people.
        invites: The invitations, which a person may accept by an identity.
        port: The issuer.
        secret: What tickets are signed with.
    """

    def __init__(
        self,
        accounts: Accounts,
        people: People,
        invites: Invites,
        port: IdentityPort,
        secret: bytes,
    ) -> None:
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._people = people
        self._invites = invites
        self._port = port
        self._secret = secret

    @property
    def issuer(self) -> str:
        """The host of the issuer; "" if there is none."""
        return self._port.issuer

    async def begin(self, redirect_uri: str, link: str = "") -> BegunSignIn:
        """Begin to sign in, perhaps in order to accept an invitation.

        Raises:
            NotAllowed: When this server has no issuer, or signs browsers in by links only.
            NotFound: When the invitation cannot be accepted.
            Unavailable: When the issuer cannot be reached.
        """
        self._people.check_served()
        if link:
            await self._invites.read(link)
        state, nonce, verifier = (entropy.token_urlsafe(32) for _ in range(3))
        attempt = SignInAttempt(
            redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier
        )
        address = await self._port.address(attempt)
        claims = f"{state}.{nonce}.{verifier}.{link}.{int(self._clock()) + ATTEMPT_S}"
        return BegunSignIn(address, f"{claims}.{self._signature(claims)}")

    async def finish(self, ticket: str, state: str, code: str, redirect_uri: str) -> str:
        """Return a session for a browser that comes back from the issuer.

        Raises:
            KeyRefused: When the issuer does not confirm it, when the attempt is over or was begun
                elsewhere, or when the person is not a member of an account.
            NotFound: When the invitation can no longer be accepted.
            RequestConflict: When the person is a member of that account already.
            Unavailable: When the issuer cannot be reached.
        """
        claims, _, signature = ticket.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(claims).encode()):
            raise KeyRefused(_OVER)
        expected, nonce, verifier, link, until = claims.split(".")
        is_late = self._clock() >= int(until)
        if is_late or not hmac.compare_digest(state.encode(), expected.encode()):
            raise KeyRefused(_OVER)
        attempt = SignInAttempt(
            redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier
        )
        identity = await self._port.identify(attempt, code)
        digest = sha256(f"{self.issuer}\0{identity.subject}".encode()).hexdigest()
        person = await self._find(digest)
        if link:
            person = person or await self._new(identity, digest)
            await self._commits.run(partial(self._recorded, digest, person.name))
            return await self._invites.accept_as(link, person)
        if person is None:
            message = f"{identity.name[:MAX_NAME]} is not a member of an account here: ask for an "
            raise KeyRefused(f"{message}invitation.")
        return await self._people.begin(person)

    async def _find(self, digest: str) -> PersonRecord | None:
        record: IdentityRecord | None = await self._commits.view.fresh(_key(digest))
        person = await self._people.find(record.name) if record else None
        return person if person is not None and person.identity == digest else None

    async def _new(self, identity: IssuedIdentity, digest: str) -> PersonRecord:
        """Return a person who is not stored yet, under a name that no password opens."""
        printable = "".join(each for each in identity.name if each.isprintable())
        name = f"{self.issuer}/{printable.strip()[: MAX_NAME // 2]}"
        other = await self._people.find(name)
        if other is not None and other.identity != digest:  # one who had the same address
            name = f"{name} ({digest[:8]})"
        return PersonRecord(
            name=name, password="", keys=[], created_at=self._clock(), identity=digest
        )

    async def _recorded(self, digest: str, name: str, draft: Draft) -> None:
        if await draft.get(_key(digest)) != IdentityRecord(name):
            draft.put(_key(digest), IdentityRecord(name))

    def _signature(self, claims: str) -> str:
        return hmac.digest(self._secret, f"issuer/{claims}".encode(), sha256).hex()


def _key(digest: str) -> str:
    return f"{IdentityRecord.prefix}{digest}"
