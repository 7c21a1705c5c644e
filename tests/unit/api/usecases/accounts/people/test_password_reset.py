"""Password resets: links by which people choose new passwords, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.people.password_reset import RESET_S
from picloud_model.errors import (
    AdministratorsOnly,
    KeyRefused,
    NotAllowed,
    NotFound,
    RequestRefused,
)
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of, owner_of_second_account
from tests.unit.api.members import PASSWORD, join
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server that several people use."""
    return await start_api(SharedRecordingState)


async def _link(api: ApiHarness, name: str = "ada") -> str:
    holder = (await administrator_of(api)).holder
    made = await api.use_cases.accounts.password_resets.create(holder, name)
    return made.path.rpartition("/")[2]


async def test_a_link_changes_the_password_once(shared: ApiHarness) -> None:
    """The old one works until then; afterwards the new one, and sessions have ended."""
    _, session = await join(shared, "Ada", Role.READER)
    people, resets = shared.use_cases.accounts.people, shared.use_cases.accounts.password_resets
    link = await _link(shared, "ADA")
    assert await resets.read(link) == "Ada"
    await people.sign_in("ada", PASSWORD)
    with pytest.raises(RequestRefused, match="characters"):
        await resets.use(link, "short")

    results = await asyncio.gather(
        *(resets.use(link, f"new password {at}") for at in range(2)), return_exceptions=True
    )

    assert sorted(type(each).__name__ for each in results) == ["NoneType", "NotFound"]
    with pytest.raises(KeyRefused):
        await shared.use_cases.accounts.sessions.recognise(session)
    with pytest.raises(KeyRefused):
        await people.sign_in("ada", PASSWORD)
    shared.now += 1
    await people.sign_in("ada", f"new password {results.index(None)}")
    with pytest.raises(NotFound, match="another one"):
        await resets.read(link)


async def test_a_link_ends(shared: ApiHarness) -> None:
    """After a day, when a newer one is made, when the password changes, with the person."""
    holder, _ = await join(shared, "ada")
    owner = (await administrator_of(shared)).holder
    accounts = shared.use_cases.accounts
    first = await _link(shared)
    second = await _link(shared)
    with pytest.raises(NotFound):
        await accounts.password_resets.use(first, "another password")
    await accounts.people.change_password(holder, PASSWORD, "another password")
    with pytest.raises(NotFound):
        await accounts.password_resets.use(second, "a third password")
    third = await _link(shared)
    shared.now += RESET_S
    with pytest.raises(NotFound):
        await accounts.password_resets.read(third)
    fourth = await _link(shared)
    await accounts.members.remove(owner, "ada")
    await join(shared, "ada")

    with pytest.raises(NotFound):
        await accounts.password_resets.use(fourth, "a third password")


@pytest.mark.parametrize("link", ["", "x", f"{'0' * 64}-{'x' * 43}", "../people/x"])
async def test_a_link_cannot_be_guessed(shared: ApiHarness, link: str) -> None:
    """Whatever is not a link that was made is refused in the same way."""
    with pytest.raises(NotFound, match="ask your operator"):
        await shared.use_cases.accounts.password_resets.use(link, "another password")


async def test_only_administrators_make_links(shared: ApiHarness) -> None:
    """For people who exist: not for others, and not by owners of other accounts."""
    await join(shared, "ada")
    resets = shared.use_cases.accounts.password_resets
    with pytest.raises(AdministratorsOnly):
        await resets.create((await owner_of_second_account(shared)).holder, "ada")
    with pytest.raises(NotFound, match="no person 'eve'"):
        await _link(shared, "eve")


async def test_a_server_of_one_person_has_no_passwords(api: ApiHarness) -> None:
    """The embedded stack signs browsers in by links only."""
    with pytest.raises(NotAllowed, match="picloud open"):
        await _link(api)
