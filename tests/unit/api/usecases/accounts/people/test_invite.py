"""Invitations: accepted once, within a week, by a new person or by one who has a password."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.people.invite import INVITE_S, MAX_INVITES
from picloud_model.errors import InviteNotFound, KeyRefused, NotFound, RequestConflict
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of, owner_of_second_account
from tests.unit.api.members import PASSWORD, invited, join
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server that several people use."""
    return await start_api(SharedRecordingState)


async def test_an_invitation_works_once(shared: ApiHarness) -> None:
    """Of two people who accept it at the same time, one becomes a member."""
    link = await invited(shared, Role.READER)
    invites = shared.use_cases.accounts.invites
    shown = await invites.read(link)

    results = await asyncio.gather(
        *(invites.accept(link, name, PASSWORD) for name in ("ada", "eve")), return_exceptions=True
    )

    assert (shown.account, shown.account_name, shown.role) == ("a0000001", "main", Role.READER)
    assert sorted(type(each).__name__ for each in results) == ["NotFound", "str"]
    with pytest.raises(NotFound, match="ask for another one"):
        await invites.read(link)


async def test_an_invitation_expires_and_is_revoked(shared: ApiHarness) -> None:
    """After a week, or when an owner revokes it, its link leads nowhere; others do not see it."""
    owner, other = await administrator_of(shared), await owner_of_second_account(shared)
    invites = shared.use_cases.accounts.invites
    late, revoked = await invited(shared), await invited(shared)
    listed = (await invites.list(owner.holder)).invites
    assert [each.role for each in listed] == [Role.MEMBER] * 2
    assert listed[0].made_by == owner.key_id
    assert (await invites.list(other.holder)).invites == []
    with pytest.raises(InviteNotFound):
        await invites.revoke(other.holder, listed[0].id)

    for each in listed[1:]:
        await invites.revoke(owner.holder, each.id)

    kept = [link for link in (late, revoked) if await _is_open(shared, link)]
    assert len(kept) == 1
    shared.now += INVITE_S
    assert not await _is_open(shared, kept[0])
    assert (await invites.list(owner.holder)).invites == []


async def _is_open(api: ApiHarness, link: str) -> bool:
    try:
        await api.use_cases.accounts.invites.read(link)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize("link", ["", "x", f"a0000001-{'x' * 43}", "../keys/a"])
async def test_a_link_cannot_be_guessed(shared: ApiHarness, link: str) -> None:
    """Whatever is not a link that was made is refused in the same way."""
    with pytest.raises(NotFound, match="ask for another one"):
        await shared.use_cases.accounts.invites.accept(link, "ada", PASSWORD)


async def test_invitations_of_an_account_are_bounded(shared: ApiHarness) -> None:
    """An account cannot fill the store with them; expired ones are removed by the next one."""
    for _ in range(MAX_INVITES):
        await invited(shared)

    with pytest.raises(RequestConflict, match="revoke some"):
        await invited(shared)
    shared.now += INVITE_S
    await invited(shared)
    assert len(await shared.server.context.commits.view.scan("invites/")) == 1


async def test_one_person_joins_several_accounts(shared: ApiHarness) -> None:
    """With the same name and password; without the password, the name cannot be taken."""
    other = await owner_of_second_account(shared)
    await join(shared, "ada")
    link = await invited(shared, Role.READER, other.holder)
    invites = shared.use_cases.accounts.invites

    with pytest.raises(KeyRefused, match="another password"):
        await invites.accept(link, "ADA", "another password")
    session = await invites.accept(link, "ADA", PASSWORD)

    holder = await shared.use_cases.accounts.sessions.recognise(session)
    assert (holder.account, holder.role, holder.person) == (
        other.holder.account,
        Role.READER,
        "ada",
    )
    again = await invited(shared)
    with pytest.raises(RequestConflict, match="already"):
        await invites.accept(again, "ada", PASSWORD)
    assert await _is_open(shared, again)  # a refusal does not use it up
