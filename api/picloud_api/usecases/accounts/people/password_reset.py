"""Password resets: links by which people who forgot their passwords choose new ones, once."""

from __future__ import annotations

import hmac
import re
import secrets as entropy
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import NotFound, RequestConflict
from picloud_model.wire.password_reset import PasswordResetMade

from picloud_api.store.records import NamedRecord
from picloud_api.usecases.accounts.account import check_administrator
from picloud_api.usecases.accounts.people.person import key_of, replace_password

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts, Holder
    from picloud_api.usecases.accounts.people.person import People, PersonRecord

RESET_S: Final = 86_400
"""How long a link works."""
_LINK: Final = re.compile(r"([0-9a-f]{64})-([0-9A-Za-z_-]{43})")
_USED: Final = (
    "This link was used before, is older than a day, was replaced by a newer one or never "
    "existed: ask your operator for another one."
)


class PasswordResetRecord(NamedRecord, frozen=True):
    """A link that was not used, under the key `resets/<digest of the person's name>`.

    `former` is the hash of the password that is to be replaced: with another one the link ends.
    """

    prefix: ClassVar[str] = "resets/"

    name: str
    secret: bytes
    former: str
    expires_at: float


class PasswordResets:
    """Makes links by which people choose new passwords."""

    def __init__(self, accounts: Accounts, people: People) -> None:
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._people = people

    async def create(self, holder: Holder, name: str) -> PasswordResetMade:
        """Return a link by which the person of a name chooses a new password.

        An earlier link of that person no longer works. The old password does, until a new one is
        chosen.

        Raises:
            AdministratorsOnly: When the caller is not an administrator.
            NotAllowed: When this server signs browsers in by links only.
            NotFound: When there is no person of this name.
            RequestConflict: When an issuer signs that person in.
        """
        check_administrator(holder)
        self._people.check_served()
        person = await self._people.find(name)
        if person is None:
            raise NotFound(f"There is no person {name!r:.260}: give the name of a member.")
        if not person.password:
            message = f"{person.name} signs in with an issuer, which knows the password."
            raise RequestConflict(message, field="name")
        secret = entropy.token_urlsafe(32)
        record = PasswordResetRecord(
            person.name, _digest(secret), person.password, self._clock() + RESET_S
        )

        digest = key_of(person.name).removeprefix(person.prefix)
        key = f"{PasswordResetRecord.prefix}{digest}"

        async def plan(draft: Draft) -> None:
            await draft.get(key)
            draft.put(key, record)

        await self._commits.run(plan)
        path = f"/reset/{digest}-{secret}"
        return PasswordResetMade(path=path, expires_at=record.expires_at)

    async def read(self, link: str) -> str:
        """Return the name of the person for whom a link was made.

        Raises:
            NotFound: When the link does not exist, was used, replaced or has expired.
        """
        key, secret = _parts(link)
        record: PasswordResetRecord | None = await self._commits.view.fresh(key)
        person = await self._people.find(record.name) if record is not None else None
        return self._checked(record, person, secret).name

    async def use(self, link: str, password: str) -> None:
        """Give the person of a link a new password, and end that person's sessions.

        Raises:
            NotFound: When the link does not exist, was used, replaced or has expired.
            RequestRefused: When the password cannot be used: then the link still works.
        """
        await self.read(link)
        hashed = await self._people.passwords.hashed(password)
        await self._commits.run(partial(self._used, link, hashed))

    async def _used(self, link: str, hashed: str, draft: Draft) -> None:
        key, secret = _parts(link)
        record: PasswordResetRecord | None = await draft.get(key)
        person = await draft.get(key_of(record.name)) if record is not None else None
        person = self._checked(record, person, secret)
        draft.delete(key)
        await replace_password(draft, person, hashed, self._clock())

    def _checked(
        self, record: PasswordResetRecord | None, person: PersonRecord | None, secret: str
    ) -> PersonRecord:
        if record is None or person is None or record.expires_at <= self._clock():
            raise NotFound(_USED)
        is_right = hmac.compare_digest(record.secret, _digest(secret))
        if not is_right or person.password != record.former:
            raise NotFound(_USED)
        return person


def _parts(link: str) -> tuple[str, str]:
    """Return the key of the record of a link, and the secret."""
    matched = _LINK.fullmatch(link)
    if matched is None:
        raise NotFound(_USED)
    return f"{PasswordResetRecord.prefix}{matched[1]}", matched[2]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
