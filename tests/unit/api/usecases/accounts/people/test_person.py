"""People: they sign in by a name and a password, and change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.people.person import checked_name
from picloud_model.errors import KeyRefused, NotAllowed, RequestRefused
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of
from tests.unit.api.members import PASSWORD, join
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


async def test_a_member_signs_in_by_name_and_password(start_api: StartApi) -> None:
    """The case of the name does not matter; a wrong password and an unknown name look the same."""
    api = await start_api(SharedRecordingState)
    await join(api, "Ada@example.org", Role.READER)
    accounts = api.use_cases.accounts

    session = await accounts.people.sign_in("ada@EXAMPLE.org", PASSWORD)

    holder = await accounts.sessions.recognise(session)
    assert (holder.account, holder.role, holder.person) == (
        "a0000001",
        Role.READER,
        "Ada@example.org",
    )
    messages = set()
    for name, password in (("ada@example.org", "wrong"), ("eve@example.org", PASSWORD), ("", "")):
        with pytest.raises(KeyRefused) as refused:
            await accounts.people.sign_in(name, password)
        messages.add(refused.value.message)
    assert messages == {"The name or the password is wrong."}


async def test_a_server_of_one_person_takes_no_passwords(api: ApiHarness) -> None:
    """The embedded stack signs browsers in by links only, and has no members."""
    owner = await administrator_of(api)

    with pytest.raises(NotAllowed, match="picloud open"):
        await api.use_cases.accounts.people.sign_in("ada", PASSWORD)
    with pytest.raises(NotAllowed, match="picloud open"):
        await api.use_cases.accounts.invites.create(owner.holder, Role.MEMBER)


async def test_a_changed_password_ends_sessions(start_api: StartApi) -> None:
    """The old password is required; afterwards only the new one signs in."""
    api = await start_api(SharedRecordingState)
    holder, session = await join(api, "ada")
    people, sessions = api.use_cases.accounts.people, api.use_cases.accounts.sessions
    with pytest.raises(KeyRefused, match="old password is wrong"):
        await people.change_password(holder, "wrong", "another password")
    with pytest.raises(RequestRefused, match="characters"):
        await people.change_password(holder, PASSWORD, "short")

    await people.change_password(holder, PASSWORD, "another password")

    with pytest.raises(KeyRefused):
        await sessions.recognise(session)
    with pytest.raises(KeyRefused):
        await people.sign_in("ada", PASSWORD)
    api.now += 1
    await sessions.recognise(await people.sign_in("ada", "another password"))


async def test_a_session_of_a_key_has_no_password_to_change(start_api: StartApi) -> None:
    """A link of `picloud open` signs in the holder of a key, not a person."""
    api = await start_api(SharedRecordingState)
    await join(api, "ada")
    owner = await administrator_of(api)

    with pytest.raises(NotAllowed):
        await api.use_cases.accounts.people.change_password(owner.holder, "", "a new password")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\u202eadmin", "x" * 255])
def test_a_name_is_printable(name: str) -> None:
    """Names appear on pages and in the audit log."""
    with pytest.raises(RequestRefused, match="printable"):
        checked_name(name)
