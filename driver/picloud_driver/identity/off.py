"""No issuer: people sign in by names, keys and links only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from picloud_model.errors import NotAllowed

from picloud_driver.identity.port import IdentityPort

if TYPE_CHECKING:
    from picloud_driver.identity.port import SignInAttempt

_NONE: Final = "This server has no issuer of identities: sign in by a name and a password."


class NoIssuer(IdentityPort):
    """Refuses every attempt."""

    adapter = "none"

    @property
    def issuer(self) -> str:
        """The host of no issuer."""
        return ""

    async def address(self, attempt: SignInAttempt) -> NoReturn:
        """Refuse to begin."""
        del attempt
        raise NotAllowed(_NONE)

    async def identify(self, attempt: SignInAttempt, code: str) -> NoReturn:
        """Refuse every code."""
        del attempt, code
        raise NotAllowed(_NONE)

    async def close(self) -> None:
        """Do nothing."""
