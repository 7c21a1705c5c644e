"""Identities: people join and sign in by an issuer, each attempt in one browser and once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.people.identity import ATTEMPT_S
from picloud_model.errors import KeyRefused, NotAllowed, NotFound, RequestConflict
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of
from tests.unit.api.known_people import KnownPeople
from tests.unit.api.members import PASSWORD, invited
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_api.usecases.accounts.account import Holder

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

BACK = "http://here/sign-in/issuer/return"


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server of several people, with an issuer that knows two of the same name, and one more."""
    api = await start_api(SharedRecordingState)
    return await with_issuer(api, KnownPeople(s1="ada@x.org", s2="ada@x.org", s3="bob"))


async def with_issuer(api: ApiHarness, issuer: KnownPeople) -> ApiHarness:
    """Start a server again with an issuer."""
    await api.stop()
    api.identity = issuer
    return await api.start()


async def arrive(api: ApiHarness, subject: str, link: str = "") -> Holder:
    """Sign in at the issuer; return whom the session acts for."""
    accounts = api.use_cases.accounts
    begun = await accounts.identities.begin(BACK, link)
    state = begun.address.partition("state=")[2]
    session = await accounts.identities.finish(begun.ticket, state, subject, BACK)
    return await accounts.sessions.recognise(session)


async def test_a_person_joins_and_signs_in_by_an_issuer(shared: ApiHarness) -> None:
    """The name has that of the issuer; no password signs in by it, and the subject counts."""
    with pytest.raises(KeyRefused, match="bob is not a member of an account here"):
        await arrive(shared, "s3")

    ada = await arrive(shared, "s1", await invited(shared, Role.READER))
    other = await arrive(shared, "s2", await invited(shared))

    assert (ada.person, ada.role) == ("id.example/ada@x.org", Role.READER)
    assert other.person.startswith("id.example/ada@x.org (")
    assert (await arrive(shared, "s1")).person == ada.person
    assert (await arrive(shared, "s2")).person == other.person
    people = shared.use_cases.accounts.people
    for password in ("", PASSWORD):
        with pytest.raises(KeyRefused):
            await people.sign_in(ada.person, password)
    with pytest.raises(NotAllowed):
        await people.change_password(ada, "", PASSWORD)


async def test_a_name_of_an_issuer_cannot_be_taken(shared: ApiHarness) -> None:
    """A person who chooses a name and a password does not get one with a slash."""
    with pytest.raises(Exception, match="without a slash"):
        await shared.use_cases.accounts.invites.accept(
            await invited(shared), "id.example/bob", PASSWORD
        )


async def test_a_removed_person_can_be_invited_again(shared: ApiHarness) -> None:
    """After a removal from the last account the identity opens nothing, until then."""
    owner, members = await administrator_of(shared), shared.use_cases.accounts.members
    ada = await arrive(shared, "s1", await invited(shared))

    await members.remove(owner.holder, ada.person)

    with pytest.raises(KeyRefused):
        await arrive(shared, "s1")
    assert (await arrive(shared, "s1", await invited(shared))).person == ada.person


async def test_an_attempt_belongs_to_one_browser(shared: ApiHarness) -> None:
    """Another ticket, a changed one, another state and a late return are refused."""
    identities = shared.use_cases.accounts.identities
    link = await invited(shared)
    mine, other = [await identities.begin(BACK, link) for _ in range(2)]
    state = mine.address.partition("state=")[2]
    changed = mine.ticket.replace(link, await invited(shared, Role.OWNER))

    for ticket in (other.ticket, changed, "", "a.b.c.d.9.x", mine.ticket.upper()):
        with pytest.raises(KeyRefused, match="begin again"):
            await identities.finish(ticket, state, "s1", BACK)
    with pytest.raises(KeyRefused, match="begin again"):
        await identities.finish(mine.ticket, "", "s1", BACK)
    shared.now += ATTEMPT_S
    with pytest.raises(KeyRefused, match="begin again"):
        await identities.finish(mine.ticket, state, "s1", BACK)


async def test_an_invitation_is_checked_first(shared: ApiHarness) -> None:
    """The browser is not sent away for one that cannot be accepted."""
    with pytest.raises(NotFound):
        await shared.use_cases.accounts.identities.begin(BACK, f"a0000001-{'x' * 43}")


async def test_without_an_issuer_nothing_begins(start_api: StartApi, tmp_path: Path) -> None:
    """Neither on a server of several people without one, nor on one of one person."""
    api = await start_api(SharedRecordingState)

    assert api.use_cases.accounts.identities.issuer == ""
    with pytest.raises(NotAllowed, match="no issuer"):
        await api.use_cases.accounts.identities.begin(BACK)


async def test_a_server_of_one_person_uses_no_issuer(api: ApiHarness) -> None:
    """The embedded stack signs browsers in by links only."""
    await with_issuer(api, KnownPeople(s1="ada"))

    with pytest.raises(NotAllowed, match="picloud open"):
        await api.use_cases.accounts.identities.begin(BACK)


async def test_a_password_of_an_issuer_is_not_reset_here(shared: ApiHarness) -> None:
    """A person who signs in with an issuer gets no link for a password of this server."""
    ada = await arrive(shared, "s1", await invited(shared))
    owner = await administrator_of(shared)

    with pytest.raises(RequestConflict, match="issuer"):
        await shared.use_cases.accounts.password_resets.create(owner.holder, ada.person)
