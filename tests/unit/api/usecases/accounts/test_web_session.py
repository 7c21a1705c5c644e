"""Web sessions: begun by a link or a key, ended by time, by their users and with their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.web_session import LINK_S, MAX_LINKS, SESSION_S
from picloud_model.errors import KeyRefused, NotAllowed, NotFound, RequestRefused

from tests.unit.api.key_owner import administrator_of, owner_of_second_account
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.accounts.web_session import WebSessions

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


async def _session(sessions: WebSessions, holder: Holder) -> str:
    link = await sessions.create_link(holder)
    return await sessions.use_link(link.path.rpartition("/")[2])


async def test_a_link_works_once(api: ApiHarness) -> None:
    """The first browser that opens it acts for the account; the next one is refused."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    link = (await sessions.create_link(owner.holder)).path.rpartition("/")[2]

    session = await sessions.use_link(link)

    assert await sessions.recognise(session) == owner.holder
    with pytest.raises(NotFound, match="picloud open"):
        await sessions.use_link(link)


async def test_a_link_expires(api: ApiHarness) -> None:
    """After a minute it no longer works, and the next link removes what was stored of it."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    links = [(await sessions.create_link(owner.holder)).path for _ in range(2)]
    api.now += LINK_S

    with pytest.raises(NotFound):
        await sessions.use_link(links[0].rpartition("/")[2])
    await sessions.create_link(owner.holder)

    assert len(await api.server.context.commits.view.scan("signin/")) == 1


@pytest.mark.parametrize("link", ["", "x", "a0000001-short", f"a0000001-{'x' * 43}", "../keys/a"])
async def test_a_link_cannot_be_guessed(api: ApiHarness, link: str) -> None:
    """Whatever is not a link that was made is refused in the same way."""
    with pytest.raises(NotFound, match="picloud open"):
        await api.use_cases.accounts.sessions.use_link(link)


async def test_links_of_an_account_are_bounded(api: ApiHarness) -> None:
    """An account cannot fill the store with links; those of others are not affected."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    other = await owner_of_second_account(api)
    for _ in range(MAX_LINKS):
        await sessions.create_link(owner.holder)

    with pytest.raises(RequestRefused, match="not used yet"):
        await sessions.create_link(owner.holder)
    await sessions.create_link(other.holder)


async def test_a_session_expires(api: ApiHarness) -> None:
    """A browser has to sign in again after a day."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    session = await _session(sessions, owner.holder)
    api.now += SESSION_S

    with pytest.raises(KeyRefused, match="session has ended"):
        await sessions.recognise(session)


async def test_a_session_ends_with_its_key(api: ApiHarness) -> None:
    """If a key is deactivated, every browser that it has signed in is signed out."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    second = await owner.create_key()
    session = await _session(sessions, second.holder)
    link = (await sessions.create_link(second.holder)).path.rpartition("/")[2]

    await owner.set_active(second, active=False)

    with pytest.raises(KeyRefused):
        await sessions.recognise(session)
    with pytest.raises(KeyRefused):
        await sessions.use_link(link)


async def test_all_sessions_of_an_account_can_be_ended(api: ApiHarness) -> None:
    """That signs out all browsers that any key of it has signed in, and none of other accounts."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    second, other = await owner.create_key(), await owner_of_second_account(api)
    ended = [await _session(sessions, each.holder) for each in (owner, second)]
    kept = await _session(sessions, other.holder)

    await sessions.end_all(owner.holder)

    for session in ended:
        with pytest.raises(KeyRefused):
            await sessions.recognise(session)
    assert await sessions.recognise(kept) == other.holder
    api.now += 1
    assert await sessions.recognise(await _session(sessions, owner.holder)) == owner.holder
    assert await owner.authenticate() == owner.holder.account  # keys are not affected


async def test_a_changed_session_is_refused(api: ApiHarness) -> None:
    """A session is signed: its key and its time cannot be exchanged, nor its signature left out."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    other = await owner_of_second_account(api)
    session = await _session(sessions, other.holder)
    key, begun, nonce, signature = session.split(".")
    forged = [
        f"{owner.key_id}.{begun}.{nonce}.{signature}",
        f"{key}.{int(begun, 16) + 1:x}.{nonce}.{signature}",
        f"{key}.{begun}.{nonce}.",
        f"{key}.{begun}.{nonce}",
        sessions.form_token(session),
        "\N{BLACK STAR}",
        "",
    ]

    for text in forged:
        with pytest.raises(KeyRefused):
            await sessions.recognise(text)


async def test_keys_sign_in_where_the_server_has_users(
    start_api: StartApi, api: ApiHarness
) -> None:
    """On the embedded stack a browser needs a link; on others a key does, too."""
    owner = await administrator_of(api)
    with pytest.raises(NotAllowed, match="picloud open"):
        await api.use_cases.accounts.sessions.sign_in(owner.key)
    await api.stop()
    shared = await start_api(SharedRecordingState)
    sessions = shared.use_cases.accounts.sessions

    session = await sessions.sign_in(shared.server.key)

    assert (await sessions.recognise(session)).account == owner.holder.account
    with pytest.raises(KeyRefused):
        await sessions.sign_in(f"{shared.server.key[:-3]}xyz")


async def test_recognising_a_session_writes_nothing(api: ApiHarness) -> None:
    """Pages that update themselves cost no transaction."""
    owner, sessions = await administrator_of(api), api.use_cases.accounts.sessions
    session = await _session(sessions, owner.holder)
    before = api.server.context.commits.transactions

    for _ in range(100):
        await sessions.recognise(session)

    assert api.server.context.commits.transactions == before
