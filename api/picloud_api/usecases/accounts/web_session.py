"""Web sessions: which account a browser acts for, and how it is signed in.

A session is a signed text that names an API key, so that it ends when that key is deactivated. The
server stores no session, only when the last ones of a key were ended.
"""

from __future__ import annotations

import hmac
import re
import secrets as entropy
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import KeyRefused, NotAllowed, NotFound, RequestConflict
from picloud_model.wire.role import Role
from picloud_model.wire.sign_in import SignInLink

from picloud_api.store.records import Key, KeyedRecord
from picloud_api.usecases.accounts.account import Holder

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts

SESSION_S: Final = 24 * 3600
"""How long a browser stays signed in."""
LINK_S: Final = 60
"""How long a sign-in link works."""
MAX_LINKS: Final = 20
"""The most links of an account that work at the same time."""
_MICRO: Final = 1_000_000
_SESSION: Final = re.compile(r"([0-9a-f]{12})\.([0-9a-f]{1,16})\.([0-9A-Za-z_-]{16})")
_LINK: Final = re.compile(r"(a[0-9a-f]{7})-([0-9A-Za-z_-]{43})")
_ENDED: Final = "You are not signed in, or your session has ended."
_USED: Final = (
    "This sign-in link was used before, is older than a minute or never existed: "
    "run `picloud open` again."
)


class SignInRecord(KeyedRecord, frozen=True):
    """A sign-in link that was not used, under the key `signin/<account>/<digest of its secret>`."""

    prefix: ClassVar[str] = "signin/"

    key: str
    expires_at: float


class WebSessions:
    """Signs browsers in and out.

    Args:
        accounts: The accounts, whose keys are checked.
        secret: What sessions are signed with.
        takes_keys: Whether a browser may be signed in with an API key, not only with a link.
    """

    def __init__(self, accounts: Accounts, secret: bytes, *, takes_keys: bool) -> None:
        self._accounts = accounts
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._secret = secret
        self.takes_keys = takes_keys

    async def create_link(self, holder: Holder) -> SignInLink:
        """Return a link that signs a browser in with the caller's key, once.

        Raises:
            RequestConflict: When too many links of the account were not used yet.
        """
        prefix, now = _links(holder.account), self._clock()
        stored: dict[str, SignInRecord] = await self._commits.view.scan(prefix)
        expired = [name for name, link in stored.items() if link.expires_at <= now]
        if len(stored) - len(expired) >= MAX_LINKS:
            message = f"{MAX_LINKS} sign-in links were not used yet; open one of them, or wait."
            raise RequestConflict(message)
        secret = entropy.token_urlsafe(32)

        async def plan(draft: Draft) -> None:
            for name in expired:
                if await draft.get(name) is not None:
                    draft.delete(name)
            name = _link(holder.account, secret)
            draft.create(name, SignInRecord(holder.key, now + LINK_S))

        await self._commits.run(plan)
        return SignInLink(path=f"/sign-in/{holder.account}-{secret}")

    async def use_link(self, link: str) -> str:
        """Return a new session for a link, which then no longer works.

        Raises:
            NotFound: When the link does not exist, was used or has expired.
            KeyRefused: When its key was deactivated.
        """
        matched = _LINK.fullmatch(link)
        if matched is None:
            raise NotFound(_USED)
        name = _link(*matched.groups())

        async def plan(draft: Draft) -> SignInRecord | None:
            record: SignInRecord | None = await draft.get(name)
            if record is not None:
                draft.delete(name)
            return record

        record = await self._commits.run(plan)
        if record is None or record.expires_at <= self._clock():
            raise NotFound(_USED)
        return await self.begin(record.key)

    async def sign_in(self, key: str) -> str:
        """Return a new session for an API key.

        Raises:
            NotAllowed: When this server signs browsers in by links only.
            KeyRefused: When the key is not valid.
        """
        if not self.takes_keys:
            message = "This server signs browsers in with a link only: run `picloud open`."
            raise NotAllowed(message)
        return await self.begin((await self._accounts.holder(key)).key)

    async def begin(self, key: str) -> str:
        """Return a new session that names a key, by its id.

        Raises:
            KeyRefused: When the key was deactivated.
        """
        stored = await self._accounts.stored_key(key)
        if not stored.active:
            raise KeyRefused
        claims = f"{key}.{int(self._clock() * _MICRO):x}.{entropy.token_urlsafe(12)}"
        return f"{claims}.{self._signature(_purpose(stored.role), claims)}"

    async def recognise(self, session: str) -> Holder:
        """Return the account and the key that a session acts for.

        Raises:
            KeyRefused: When the session is forged, has expired or was ended, or its key was
                deactivated.
        """
        claims, _, signature = session.rpartition(".")
        role = self._signed_role(claims, signature)
        matched = _SESSION.fullmatch(claims)
        if role is None or matched is None:
            raise KeyRefused(_ENDED)
        begun_at = int(matched[2], 16) / _MICRO
        key = await self._accounts.stored_key(matched[1])
        is_over = begun_at + SESSION_S <= self._clock() or begun_at <= key.signed_out_at
        if is_over or not key.active or key.role is not role:
            raise KeyRefused(_ENDED)
        return Holder(key.account, matched[1], key.role, key.person)

    def _signed_role(self, claims: str, signature: str) -> Role | None:
        """Return the role that a session was signed with; None if it was not signed."""
        given = signature.encode()
        for role in Role:
            expected = self._signature(_purpose(role), claims)
            if hmac.compare_digest(given, expected.encode()):
                return role
        return None

    def form_token(self, session: str) -> str:
        """Return what each form of a session's pages contains, which other sites cannot know."""
        return self._signature("form", session)

    async def end_all(self, holder: Holder) -> None:
        """End every session of a person, in all browsers.

        The holder of a key that belongs to no person ends all those of the account, as an
        owner, or else those that this key has begun.
        """
        keys: dict[str, Key] = await self._commits.view.scan(Key.prefix)
        for name in [name for name, key in keys.items() if _is_ended(holder, name, key)]:
            await self._commits.run(partial(self._end_of, name))

    async def _end_of(self, name: str, draft: Draft) -> None:
        key: Key = await draft.get(name)
        draft.put(name, msgspec.structs.replace(key, signed_out_at=self._clock()))

    def _signature(self, purpose: str, text: str) -> str:
        return hmac.digest(self._secret, f"{purpose}/{text}".encode(), sha256).hex()


def _is_ended(holder: Holder, name: str, key: Key) -> bool:
    if holder.person:
        return key.person == holder.person
    if holder.role is Role.OWNER:
        return key.account == holder.account
    return Key.parse(name) == holder.key


def _purpose(role: Role) -> str:
    """Return what a session is signed for.

    An earlier version of the server, which knows no roles, refuses those that it would not limit.
    """
    return "session" if role is Role.OWNER else f"session of a {role}"


def _links(account: str) -> str:
    return f"{SignInRecord.prefix}{account}/"


def _link(account: str, secret: str) -> str:
    return f"{_links(account)}{sha256(secret.encode()).hexdigest()}"
