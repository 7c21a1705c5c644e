"""An issuer of identities that knows some people: the code of each is their subject."""

from __future__ import annotations

from picloud_driver.identity import IdentityPort, IssuedIdentity, SignInAttempt
from picloud_model.errors import KeyRefused


class KnownPeople(IdentityPort):
    """Confirms people whose attempt it has seen begin."""

    adapter = "known"

    def __init__(self, **names: str) -> None:
        self.names = names
        self.begun: dict[str, SignInAttempt] = {}
        """By their states, as the issuer has them in the address of its page."""

    @property
    def issuer(self) -> str:
        return "id.example"

    async def address(self, attempt: SignInAttempt) -> str:
        self.begun[attempt.state] = attempt
        return f"https://id.example/authorize?state={attempt.state}"

    async def identify(self, attempt: SignInAttempt, code: str) -> IssuedIdentity:
        if self.begun.pop(attempt.state, None) != attempt or code not in self.names:
            raise KeyRefused("id.example did not confirm who you are.")
        return IssuedIdentity(code, self.names[code])

    async def close(self) -> None:
        return None
