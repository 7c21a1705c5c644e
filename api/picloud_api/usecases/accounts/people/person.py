"""People: a name with a password, and the keys by which it acts for accounts."""

from __future__ import annotations

import unicodedata
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import KeyRefused, NotAllowed, RequestRefused

from picloud_api.store import layout
from picloud_api.store.records import Key, NamedRecord

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts, Holder
    from picloud_api.usecases.accounts.people.password import Passwords
    from picloud_api.usecases.accounts.web_session import WebSessions

MAX_NAME: Final = 254
_WRONG: Final = "The name or the password is wrong."
_NO_PASSWORD: Final = "You did not sign in with a password, so there is none to change."  # noqa: S105
_MEMBER_OF_NONE: Final = "You are no longer a member of an account: ask for an invitation."


class PersonRecord(NamedRecord, frozen=True):
    """A person who signs in by a name, under the key `people/<digest of the name>`.

    `password` is a hash, or "" if an issuer says who it is: then `identity` is a digest of that.
    `keys` are the ids of the keys that sessions name, one for each account.
    """

    prefix: ClassVar[str] = "people/"

    name: str
    password: str
    keys: list[str]
    created_at: float
    identity: str = ""


class People:
    """Signs people in, and changes their passwords."""

    def __init__(self, accounts: Accounts, sessions: WebSessions, passwords: Passwords) -> None:
        self._accounts = accounts
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._sessions = sessions
        self.passwords = passwords

    async def find(self, name: str) -> PersonRecord | None:
        """Return the person of a name, in whatever case it is written; None if there is none."""
        record: PersonRecord | None = await self._commits.view.fresh(key_of(name))
        return record

    async def sign_in(self, name: str, password: str) -> str:
        """Return a new session for a name and a password.

        Raises:
            NotAllowed: When this server signs browsers in by links only.
            KeyRefused: When they are wrong, or the person is no longer a member of an account.
        """
        self.check_served()
        person = await self.find(name)
        if not await self.passwords.is_right(password, person.password if person else ""):
            raise KeyRefused(_WRONG)
        assert person is not None
        return await self.begin(person)

    async def begin(self, person: PersonRecord) -> str:
        """Return a new session for a person, who acts for the account that was joined last.

        Raises:
            KeyRefused: When the person is no longer a member of an account.
        """
        for name in person.keys:
            if signs_in(await self._accounts.stored_key(name)):
                return await self._sessions.begin(name)
        raise KeyRefused(_MEMBER_OF_NONE)

    def check_served(self) -> None:
        """Check that this server signs people in by more than links.

        Raises:
            NotAllowed: When it does not, as it serves one person.
        """
        if not self._sessions.takes_keys:
            message = "This server serves one person, who signs in by a link: run `picloud open`."
            raise NotAllowed(message)

    async def change_password(self, holder: Holder, old: str, new: str) -> None:
        """Change the password of the person who is signed in, and end that person's sessions.

        Raises:
            NotAllowed: When the session was not begun by a name.
            KeyRefused: When the old password is wrong.
            RequestRefused: When the new one cannot be used.
        """
        person = await self.find(holder.person) if holder.person else None
        if person is None or holder.key not in person.keys or not person.password:
            raise NotAllowed(_NO_PASSWORD)
        if not await self.passwords.is_right(old, person.password):
            raise KeyRefused("The old password is wrong.")
        hashed = await self.passwords.hashed(new)
        await self._commits.run(partial(self._changed, person, hashed))

    async def _changed(self, person: PersonRecord, hashed: str, draft: Draft) -> None:
        stored: PersonRecord | None = await draft.get(key_of(person.name))
        if stored is None or stored.password != person.password:
            raise KeyRefused("The old password is wrong.")
        await replace_password(draft, stored, hashed, self._clock())


async def replace_password(draft: Draft, person: PersonRecord, hashed: str, now: float) -> None:
    """Give a person another password, by its hash, and end that person's sessions."""
    draft.put(key_of(person.name), msgspec.structs.replace(person, password=hashed))
    for name in person.keys:
        key: Key = await draft.get(layout.key(name))
        draft.put(layout.key(name), msgspec.structs.replace(key, signed_out_at=now))


def signs_in(key: Key) -> bool:
    """Whether a person may act by a key.

    An earlier version of the server that writes the key again leaves out its role: then it opens
    nothing, instead of everything.
    """
    return key.active and key.signs_in


def key_of(name: str) -> str:
    """Return the key of the person of a name; how it is written does not matter.

    >>> key_of("Ada@example.org ") == key_of("ada@EXAMPLE.org")
    True
    """
    same = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
    digest = sha256(same.encode(errors="surrogatepass")).hexdigest()
    return f"{PersonRecord.prefix}{digest}"


def checked_name(name: str) -> str:
    """Return a name without the spaces around it.

    Raises:
        RequestRefused: When it cannot be that of a person.
    """
    name = name.strip()
    # A name with a slash is one that an issuer has given.
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or "/" in name:
        message = (
            f"A name is an e-mail address, or 1 to {MAX_NAME} printable characters without a slash."
        )
        raise RequestRefused(message, field="name")
    return name
