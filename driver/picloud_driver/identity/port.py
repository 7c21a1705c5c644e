"""The identity port: an issuer, chosen by the operator, that says who has signed in there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec


class IssuerAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where an issuer is, and as which of its clients the server acts."""

    url: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"IssuerAccess(url={self.url!r}, client_id={self.client_id!r})"


class SignInAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one browser to sign in.

    Attributes:
        redirect_uri: Where the issuer sends the browser back to.
        state: Random text that comes back with the browser.
        nonce: Random text that comes back in the identity.
        verifier: Random text that only the server has, without which a code is of no use.
    """

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


class IssuedIdentity(msgspec.Struct, frozen=True):
    """A person, as an issuer knows them: a subject that never changes, and a name to show."""

    subject: str
    name: str


class IdentityPort(ABC):
    """Signs people in at an issuer.

    An identity counts only if the issuer has signed it for this server and this attempt, and it has
    not expired. A code is accepted once.
    """

    adapter: ClassVar[str]
    """The name of the adapter."""

    @property
    @abstractmethod
    def issuer(self) -> str:
        """The host of the issuer, as people know it; "" if there is none."""

    @abstractmethod
    async def address(self, attempt: SignInAttempt) -> str:
        """Return the address at which a browser signs in.

        Raises:
            NotAllowed: When there is no issuer.
            Unavailable: When the issuer cannot be reached, or is not what it should be.
        """

    @abstractmethod
    async def identify(self, attempt: SignInAttempt, code: str) -> IssuedIdentity:
        """Return who has signed in, by the code with which the browser came back.

        Raises:
            NotAllowed: When there is no issuer.
            KeyRefused: When the issuer does not confirm it.
            Unavailable: When the issuer cannot be reached, or is not what it should be.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close its connections."""
