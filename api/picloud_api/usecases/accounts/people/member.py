"""Members of an account: listed, given other roles and removed by its owners."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from picloud_model.errors import MemberNotFound, RequestConflict
from picloud_model.wire.member import ListedMember, MembersListed

from picloud_api.store import layout
from picloud_api.store.records import Account, Key
from picloud_api.usecases.accounts.people.person import key_of, signs_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.role import Role

    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts, Holder
    from picloud_api.usecases.accounts.people.person import People, PersonRecord
    from picloud_api.usecases.accounts.web_session import WebSessions


class Membership(NamedTuple):
    """An account that a person is a member of."""

    account: str
    name: str
    role: Role


class Members:
    """Lists and changes the members of an account."""

    def __init__(self, accounts: Accounts, people: People, sessions: WebSessions) -> None:
        self._commits = accounts.commits
        self._accounts = accounts
        self._people = people
        self._sessions = sessions

    async def list(self, holder: Holder) -> MembersListed:
        """Return the members of the caller's account, in the order in which they joined."""
        listed = [
            ListedMember(
                name=key.person,
                role=key.role,
                joined_at=key.created_at,
                own=name == holder.key,
            )
            for name, key in (await self._keys_of(holder.account)).items()
            if key.signs_in and key.active
        ]
        return MembersListed(members=sorted(listed, key=lambda each: each.joined_at))

    async def change_role(self, holder: Holder, name: str, role: Role) -> None:
        """Give a member another role, which ends that member's sessions.

        Keys of the member that may do more than the new role are deactivated.

        Raises:
            MemberNotFound: When the account has no such member.
            RequestConflict: When it is the caller.
        """
        await self._change(holder, name, role)

    async def remove(self, holder: Holder, name: str) -> None:
        """Remove a member: that member's sessions end, and the member's keys are deactivated.

        Raises:
            MemberNotFound: When the account has no such member.
            RequestConflict: When it is the caller.
        """
        await self._change(holder, name, None)

    async def _change(self, holder: Holder, name: str, role: Role | None) -> None:
        person = await self._people.find(name)
        if person is not None and holder.key in person.keys:
            message = "This is you: another owner can change your role or remove you."
            raise RequestConflict(message, field="name")
        keys = await self._keys_of(holder.account)
        of_member = [each for each, key in keys.items() if person and key.person == person.name]
        plan = partial(self._changed, name, of_member, role)
        await self._commits.run(plan)

    async def _changed(
        self, name: str, keys: Sequence[str], role: Role | None, draft: Draft
    ) -> None:
        person: PersonRecord | None = await draft.get(key_of(name))
        entry = ""
        for each in keys:
            key: Key = await draft.get(layout.key(each))
            if key.signs_in and key.active and person is not None and each in person.keys:
                entry = each
            if key.signs_in and role is not None:
                changed = msgspec.structs.replace(key, role=role)
            elif role is None or not role.includes(key.role):
                changed = msgspec.structs.replace(key, active=False)
            else:
                continue
            draft.put(layout.key(each), changed)
        if person is None or not entry:
            raise MemberNotFound(field="name")
        if role is None:
            rest = [each for each in person.keys if each != entry]
            if rest:
                draft.put(key_of(name), msgspec.structs.replace(person, keys=rest))
            else:
                draft.delete(key_of(name))

    async def memberships(self, holder: Holder) -> Sequence[Membership]:
        """Return the accounts that the person who is signed in is a member of."""
        found = []
        for key in (await self._keys_of_person(holder)).values():
            account: Account = await self._commits.view.get(layout.account(key.account))
            found.append(Membership(key.account, account.name, key.role))
        return found

    async def switch(self, holder: Holder, account: str) -> str:
        """Return a new session of the same person for another account.

        Raises:
            MemberNotFound: When that person is not a member of it.
        """
        for name, key in (await self._keys_of_person(holder)).items():
            if key.account == account:
                return await self._sessions.begin(name)
        raise MemberNotFound("You are not a member of this account.", field="account")

    async def _keys_of_person(self, holder: Holder) -> dict[str, Key]:
        person = await self._people.find(holder.person) if holder.person else None
        if person is None or holder.key not in person.keys:
            return {}
        keys = {name: await self._accounts.stored_key(name) for name in person.keys}
        return {name: key for name, key in keys.items() if signs_in(key)}

    async def _keys_of(self, account: str) -> dict[str, Key]:
        keys: dict[str, Key] = await self._commits.view.scan(Key.prefix)
        return {Key.parse(name): key for name, key in keys.items() if key.account == account}
