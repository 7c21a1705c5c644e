"""Invitations: links by which people become members of an account, once."""

from __future__ import annotations

import re
import secrets as entropy
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import msgspec
from picloud_model.errors import InviteNotFound, KeyRefused, NotFound, RequestConflict
from picloud_model.wire.member import InviteMade, InvitesListed, ListedInvite
from picloud_model.wire.role import Role  # noqa: TC002 - msgspec reads it when a record is used

from picloud_api.store import layout
from picloud_api.store.records import Account, Key, KeyedRecord
from picloud_api.usecases.accounts.people.person import PersonRecord, checked_name, key_of

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts, Holder
    from picloud_api.usecases.accounts.people.person import People
    from picloud_api.usecases.accounts.web_session import WebSessions

INVITE_S: Final = 7 * 86_400
"""How long an invitation can be accepted."""
MAX_INVITES: Final = 100
"""The most invitations of an account that were not accepted."""
MAX_MEMBERSHIPS: Final = 50
"""The most accounts that one person is a member of."""
_LINK: Final = re.compile(r"(a[0-9a-f]{7})-([0-9A-Za-z_-]{43})")
_USED: Final = (
    "This invitation was accepted or revoked before, is older than a week or never existed: "
    "ask for another one."
)
_TAKEN: Final = (
    "A person of this name has another password: if that is you, give your "
    "password; if not, choose another name."
)


class InviteRecord(KeyedRecord, frozen=True):
    """An invitation, under the key `invites/<account>/<digest of its secret>`."""

    prefix: ClassVar[str] = "invites/"

    role: Role
    made_by: str
    created_at: float
    expires_at: float


class Invitation(NamedTuple):
    """What a person is invited to."""

    account: str
    account_name: str
    role: Role


class Invites:
    """Makes invitations, and makes those who accept them members."""

    def __init__(self, accounts: Accounts, people: People, sessions: WebSessions) -> None:
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._people = people
        self._sessions = sessions

    async def create(self, holder: Holder, role: Role) -> InviteMade:
        """Return a link that makes a person a member of the caller's account.

        Raises:
            NotAllowed: When this server signs browsers in by links only.
            RequestConflict: When too many invitations were not accepted yet.
        """
        self._people.check_served()
        now = self._clock()
        stored: dict[str, InviteRecord] = await self._commits.view.scan(_prefix(holder.account))
        expired = [key for key, invite in stored.items() if invite.expires_at <= now]
        if len(stored) - len(expired) >= MAX_INVITES:
            message = f"{MAX_INVITES} invitations were not accepted yet: revoke some of them."
            raise RequestConflict(message)
        secret = entropy.token_urlsafe(32)
        key = _key(holder.account, secret)
        record = InviteRecord(role, holder.person or holder.key, now, now + INVITE_S)

        async def plan(draft: Draft) -> None:
            for each in expired:
                if await draft.get(each) is not None:
                    draft.delete(each)
            draft.create(key, record)

        await self._commits.run(plan)
        path = f"/join/{holder.account}-{secret}"
        return InviteMade(invite=_listed(key, record), path=path)

    async def list(self, holder: Holder) -> InvitesListed:
        """Return the invitations of an account that can be accepted, the oldest first."""
        stored: dict[str, InviteRecord] = await self._commits.view.scan(_prefix(holder.account))
        now = self._clock()
        listed = [_listed(key, each) for key, each in stored.items() if each.expires_at > now]
        return InvitesListed(invites=sorted(listed, key=lambda each: each.created_at))

    async def revoke(self, holder: Holder, invite_id: str) -> None:
        """Revoke an invitation.

        Raises:
            InviteNotFound: When the account has no such invitation.
        """
        stored: dict[str, InviteRecord] = await self._commits.view.scan(_prefix(holder.account))
        named = [key for key in stored if _id(key) == invite_id]
        if not named:
            raise InviteNotFound

        async def plan(draft: Draft) -> None:
            if await draft.get(named[0]) is not None:
                draft.delete(named[0])

        await self._commits.run(plan)

    async def read(self, link: str) -> Invitation:
        """Return what a person is invited to by a link.

        Raises:
            NotFound: When the link does not exist, was used or has expired.
        """
        key = _key_of_link(link)
        invite: InviteRecord | None = await self._commits.view.fresh(key)
        if invite is None or invite.expires_at <= self._clock():
            raise NotFound(_USED)
        account_id = _account(key)
        account: Account = await self._commits.view.get(layout.account(account_id))
        return Invitation(account_id, account.name, invite.role)

    async def accept(self, link: str, name: str, password: str) -> str:
        """Make a person a member, who has this name and password from now on or already.

        Returns:
            A session.

        Raises:
            NotFound: When the link does not exist, was used or has expired.
            KeyRefused: When a person of this name has another password.
            RequestRefused: When the name or the password cannot be used.
            RequestConflict: When that person is a member already.
        """
        await self.read(link)
        name = checked_name(name)
        person = await self._people.find(name)
        if person is None:
            password = await self._people.passwords.hashed(password)
            person = PersonRecord(name, password, [], self._clock())
        elif not await self._people.passwords.is_right(password, person.password):
            raise KeyRefused(_TAKEN)
        return await self.accept_as(link, person)

    async def accept_as(self, link: str, person: PersonRecord) -> str:
        """Make a person a member, who has proved to be that one; return a session.

        Raises:
            NotFound: When the link does not exist, was used or has expired.
            RequestConflict: When that person is a member already.
        """
        await self.read(link)
        key = entropy.token_hex(6)
        await self._commits.run(partial(self._joined, _key_of_link(link), person, key))
        return await self._sessions.begin(key)

    async def _joined(self, invite_key: str, person: PersonRecord, key: str, draft: Draft) -> None:
        invite: InviteRecord | None = await draft.get(invite_key)
        if invite is None:
            raise NotFound(_USED)
        stored: PersonRecord | None = await draft.get(key_of(person.name))
        if stored is not None and _proof(stored) != _proof(person):
            raise KeyRefused(_TAKEN)
        joined, account = stored or person, _account(invite_key)
        for name in joined.keys:
            other: Key = await draft.get(layout.key(name))
            if other.account == account:
                raise RequestConflict("You are a member of this account already: sign in.")
        if len(joined.keys) >= MAX_MEMBERSHIPS:
            raise RequestConflict(f"One is a member of at most {MAX_MEMBERSHIPS} accounts.")
        draft.delete(invite_key)
        draft.put(key_of(person.name), msgspec.structs.replace(joined, keys=[key, *joined.keys]))
        record = Key(
            account,
            entropy.token_bytes(32),  # the digest of no secret
            active=True,
            created_at=self._clock(),
            role=invite.role,
            person=joined.name,
            signs_in=True,
        )
        draft.create(layout.key(key), record)


def _proof(person: PersonRecord) -> tuple[str, str]:
    """Return what a person is known by besides the name."""
    return person.password, person.identity


def _prefix(account: str) -> str:
    return f"{InviteRecord.prefix}{account}/"


def _key(account: str, secret: str) -> str:
    return f"{_prefix(account)}{sha256(secret.encode()).hexdigest()}"


def _key_of_link(link: str) -> str:
    matched = _LINK.fullmatch(link)
    if matched is None:
        raise NotFound(_USED)
    return _key(*matched.groups())


def _account(key: str) -> str:
    return key.split("/")[1]


def _id(key: str) -> str:
    return key.rpartition("/")[2][:12]


def _listed(key: str, record: InviteRecord) -> ListedInvite:
    return ListedInvite(
        id=_id(key),
        role=record.role,
        made_by=record.made_by,
        created_at=record.created_at,
        expires_at=record.expires_at,
    )
