"""Members: their roles are changed, and they are removed, together with what they signed in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.records import Key
from picloud_model import wire
from picloud_model.errors import KeyRefused, MemberNotFound, RequestConflict, RoleRefused
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of, owner_of, owner_of_second_account
from tests.unit.api.members import PASSWORD, join
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Holder

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi
    from tests.unit.api.key_owner import KeyOwner


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server that several people use."""
    return await start_api(SharedRecordingState)


async def key_of(api: ApiHarness, holder: Holder, role: Role, number: int = 0) -> KeyOwner:
    """Return the owner of a new key that a member has made."""
    request = wire.KeyRequest(request_id=f"{number:032x}", role=role)
    return await owner_of(api, (await api.use_cases.accounts.keys.create(holder, request)).key)


async def names(api: ApiHarness, holder: Holder) -> list[tuple[str, Role]]:
    """Return the members of an account, with their roles."""
    members = (await api.use_cases.accounts.members.list(holder)).members
    return [(each.name, each.role) for each in members]


async def test_a_removed_member_can_do_nothing(shared: ApiHarness) -> None:
    """Sessions, passwords and keys of the member no longer open the account; other members stay."""
    owner, accounts = await administrator_of(shared), shared.use_cases.accounts
    ada, session = await join(shared, "ada")
    shared.now += 1
    await join(shared, "bob", Role.READER)
    key = await key_of(shared, ada, Role.MEMBER)
    assert await names(shared, owner.holder) == [("ada", Role.MEMBER), ("bob", Role.READER)]

    await accounts.members.remove(owner.holder, "ADA")
    shared.now += 10

    with pytest.raises(KeyRefused):
        await accounts.sessions.recognise(session)
    with pytest.raises(KeyRefused):
        await accounts.people.sign_in("ada", PASSWORD)
    with pytest.raises(KeyRefused):
        await key.authenticate()
    assert await names(shared, owner.holder) == [("bob", Role.READER)]
    with pytest.raises(MemberNotFound):
        await accounts.members.remove(owner.holder, "ada")


async def test_a_lower_role_applies_at_once(shared: ApiHarness) -> None:
    """Sessions end, keys that may do more are deactivated, and the member cannot activate them."""
    owner, accounts = await administrator_of(shared), shared.use_cases.accounts
    ada, session = await join(shared, "ada", Role.OWNER)
    keys = [await key_of(shared, ada, role, number) for number, role in enumerate(Role)]

    await accounts.members.change_role(owner.holder, "ada", Role.READER)
    shared.now += 10

    with pytest.raises(KeyRefused):
        await accounts.sessions.recognise(session)
    for key in keys[:2]:
        with pytest.raises(KeyRefused):
            await key.authenticate()
    await keys[2].authenticate()
    reader = await accounts.sessions.recognise(await accounts.people.sign_in("ada", PASSWORD))
    assert reader.role is Role.READER
    for key in (owner, keys[0]):
        with pytest.raises(RoleRefused):
            await accounts.keys.set_active(reader, key.key_id, active=True)
    listed = (await accounts.keys.list(reader, wire.KeysRequest())).keys
    assert {key.id for key in listed if key.person == "ada"} == {key.key_id for key in keys}


async def test_nobody_changes_their_own_role(shared: ApiHarness) -> None:
    """So that an account is not left without an owner by mistake."""
    ada, _ = await join(shared, "ada", Role.OWNER)
    members = shared.use_cases.accounts.members

    with pytest.raises(RequestConflict, match="another owner"):
        await members.change_role(ada, "ada", Role.READER)
    with pytest.raises(RequestConflict, match="another owner"):
        await members.remove(ada, "ada")


async def test_members_of_other_accounts_are_unknown(shared: ApiHarness) -> None:
    """An owner of another account can neither see nor change them."""
    other, members = await owner_of_second_account(shared), shared.use_cases.accounts.members
    await join(shared, "ada")

    assert await names(shared, other.holder) == []
    for name in ("ada", "nobody"):
        with pytest.raises(MemberNotFound):
            await members.remove(other.holder, name)
        with pytest.raises(MemberNotFound):
            await members.change_role(other.holder, name, Role.OWNER)


async def test_a_person_changes_between_accounts(shared: ApiHarness) -> None:
    """A new session acts for the other account, in the role there; a key belongs to one only."""
    owner, other = await administrator_of(shared), await owner_of_second_account(shared)
    ada, _ = await join(shared, "ada")
    await join(shared, "ada", Role.READER, other.holder)
    accounts = shared.use_cases.accounts

    memberships = await accounts.members.memberships(ada)
    session = await accounts.members.switch(ada, other.holder.account)

    assert {each.account: each.role for each in memberships} == {
        "a0000001": Role.MEMBER,
        other.holder.account: Role.READER,
    }
    there = await accounts.sessions.recognise(session)
    assert (there.account, there.role) == (other.holder.account, Role.READER)
    assert await accounts.members.memberships(owner.holder) == []
    with pytest.raises(MemberNotFound):
        await accounts.members.switch(owner.holder, other.holder.account)
    await accounts.members.remove(other.holder, "ada")
    shared.now += 10
    with pytest.raises(MemberNotFound):
        await accounts.members.switch(ada, other.holder.account)
    assert (await accounts.sessions.recognise(await accounts.people.sign_in("ada", PASSWORD)))[
        0
    ] == "a0000001"


async def test_a_record_that_an_earlier_version_wrote_again_opens_nothing(
    shared: ApiHarness,
) -> None:
    """It has lost its role: neither the key nor the person becomes an owner by that."""
    owner, accounts = await administrator_of(shared), shared.use_cases.accounts
    ada, session = await join(shared, "ada", Role.READER)
    reader = await key_of(shared, owner.holder, Role.READER)

    async def write_again(name: str, draft: Draft) -> None:
        key: Key = await draft.get(layout.key(name))
        draft.put(layout.key(name), Key(key.account, key.digest, key.active, key.created_at))

    for name in (ada.key, reader.key_id):
        await shared.server.context.commits.run(partial(write_again, name))
    shared.now += 10

    with pytest.raises(KeyRefused):
        await accounts.sessions.recognise(session)
    with pytest.raises(KeyRefused):
        await accounts.people.sign_in("ada", PASSWORD)
    with pytest.raises(KeyRefused):
        await reader.authenticate()


async def test_a_key_without_a_secret_is_not_listed(shared: ApiHarness) -> None:
    """A key that sessions name has no secret, and is neither listed nor changed as others are."""
    owner, accounts = await administrator_of(shared), shared.use_cases.accounts
    ada, _ = await join(shared, "ada")

    listed = (await accounts.keys.list(owner.holder, wire.KeysRequest())).keys

    assert [key.id for key in listed] == [owner.key_id]
    with pytest.raises(KeyRefused):
        await accounts.accounts.authenticate(f"pk_{ada.key}_{'A' * 43}")
