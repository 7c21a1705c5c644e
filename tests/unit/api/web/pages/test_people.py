"""The pages of people: signing in by a password, accepting invitations, and members."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from picloud_model.wire.role import Role

from tests.unit.api.key_owner import administrator_of
from tests.unit.api.known_people import KnownPeople
from tests.unit.api.members import PASSWORD, invited, join
from tests.unit.api.recording_state import SharedRecordingState
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server that several people use."""
    return await start_api(SharedRecordingState)


def form(**fields: str) -> str:
    """Return the body of a form."""
    return urlencode(fields)


async def signed_in(api: ApiHarness, name: str, role: Role) -> WebPages:
    """Return the browser of a new member."""
    browser = WebPages(api)
    _, browser.session = await join(api, name, role)
    return browser


async def test_an_invitation_is_accepted_and_signs_in(shared: ApiHarness) -> None:
    """The page says what the invitation is to; afterwards the name and the password sign in."""
    browser, link = WebPages(shared), await invited(shared, Role.READER)
    page = await browser.send("GET", f"/join/{link}")
    assert "a reader of the account <b>main</b>" in page.text
    short = await browser.send("POST", f"/join/{link}", form(name="<b>ada", password="short"))
    assert (short.status, "10 to 1,000 characters" in short.text) == (422, True)
    assert "&lt;b&gt;ada" in short.text

    joined = await browser.send("POST", f"/join/{link}", form(name="ada", password=PASSWORD))
    other = WebPages(shared)
    reply = await other.send("POST", "/sign-in", form(name="Ada", password=PASSWORD))

    assert (joined.status, joined.headers["location"]) == (303, "/jobs")
    assert "ada, reader of account" in (await browser.send("GET", "/jobs")).text
    assert (await WebPages(shared).send("GET", f"/join/{link}")).status == 404
    assert (reply.status, (await other.send("GET", "/jobs")).status) == (303, 200)


async def test_a_wrong_password_is_refused(shared: ApiHarness) -> None:
    """The page keeps the name, and does not say whether it exists."""
    await join(shared, "ada")
    browser = WebPages(shared)

    wrong = await browser.send("POST", "/sign-in", form(name="ada", password="wrong"))
    unknown = await browser.send("POST", "/sign-in", form(name="eve", password="wrong"))

    assert (wrong.status, unknown.status, browser.session) == (401, 401, "")
    assert wrong.text.replace("ada", "eve") == unknown.text
    assert "The name or the password is wrong." in wrong.text


@pytest.mark.parametrize("path", ["/sign-in", "/join/x"])
async def test_other_sites_sign_nobody_in(shared: ApiHarness, path: str) -> None:
    """A form of another site is refused before anything is looked up."""
    page = await WebPages(shared).send(
        "POST", path, form(name="ada", password=PASSWORD), Origin="http://evil.example"
    )

    assert (page.status, "another site" in page.text) == (403, True)


async def test_a_reader_sees_all_pages_and_changes_nothing(shared: ApiHarness) -> None:
    """Each form is refused by the role, with a sentence; signing out is not."""
    (jid,) = await shared.submit(1)
    browser = await signed_in(shared, "ada", Role.READER)
    token = await browser.token()
    for path in ("/jobs", f"/jobs/{jid}", "/keys", "/members", "/usage", "/queues", "/bucket"):
        assert (await browser.send("GET", path)).status == 200

    refused = [
        await browser.send("POST", path, form(form_token=token, jids=str(jid), role="reader"))
        for path in ("/jobs/kill", "/jobs/delete", "/keys/create", "/members/invite")
    ]

    assert {page.status for page in refused} == {403}
    assert all("role of your key or sign-in" in page.text for page in refused)
    assert await shared.statuses(range(jid, jid + 1)) == ["queued"]
    assert (await browser.send("POST", "/sign-out", form(form_token=token))).status == 303


async def test_an_owner_invites_changes_and_removes(shared: ApiHarness) -> None:
    """By forms of the page; members see the page without the forms."""
    await join(shared, "<b>bob")
    owner = await WebPages(shared).open()
    token = await owner.token()

    page = await owner.send("POST", "/members/invite", form(form_token=token, role="owner"))
    (link,) = re.findall(r"<code>http://[^<]*(/join/[^<]+)</code>", page.text)
    changed = await owner.send(
        "POST", "/members/change", form(form_token=token, name="<b>bob", role="reader")
    )
    seen = (await owner.send("GET", "/members")).text

    assert (await WebPages(shared).send("GET", link)).status == 200
    assert (changed.status, "<b>bob" in seen, "&lt;b&gt;bob" in seen) == (303, False, True)
    (invite,) = re.findall(r'name="id" value="(\w+)"', seen)
    await owner.send("POST", "/members/revoke", form(form_token=token, id=invite))
    await owner.send("POST", "/members/remove", form(form_token=token, name="<b>bob"))
    assert (await WebPages(shared).send("GET", link)).status == 404
    assert "bob" not in (await owner.send("GET", "/members")).text
    wrong = await owner.send("POST", "/members/invite", form(form_token=token, role="king"))
    assert wrong.status == 422


async def test_a_member_changes_the_password(shared: ApiHarness) -> None:
    """With the old one, which a wrong guess does not replace."""
    browser = await signed_in(shared, "ada", Role.MEMBER)
    page = await browser.send("GET", "/members")
    assert ("Your password" in page.text, "Invite" in page.text) == (True, False)
    fields = {"form_token": page.token, "new": "another password"}

    wrong = await browser.send("POST", "/members/password", form(old="wrong", **fields))
    right = await browser.send("POST", "/members/password", form(old=PASSWORD, **fields))

    assert (wrong.status, right.status, right.headers["location"]) == (422, 303, "/sign-in")
    shared.now += 1
    again = await browser.send("POST", "/sign-in", form(name="ada", password="another password"))
    assert again.status == 303


async def test_a_forgotten_password_is_replaced_by_a_link(shared: ApiHarness) -> None:
    """Opening the link changes nothing; another site cannot use it; it works once."""
    await join(shared, "<b>ada")
    owner = (await administrator_of(shared)).holder
    link = (await shared.use_cases.accounts.password_resets.create(owner, "<b>ada")).path
    browser = WebPages(shared)

    page = await browser.send("GET", link)
    foreign = await browser.send("POST", link, form(password=PASSWORD), Origin="http://evil")
    short = await browser.send("POST", link, form(password="short"))
    changed = await browser.send("POST", link, form(password="another password"))
    again = await browser.send("POST", link, form(password="a third password"))
    signed = await browser.send("POST", "/sign-in", form(name="<b>ada", password=PASSWORD))

    assert (page.status, "<b>&lt;b&gt;ada</b>" in page.text) == (200, True)
    assert (foreign.status, short.status, signed.status) == (403, 422, 401)
    assert "10 to 1,000 characters" in short.text
    assert (changed.status, changed.headers["location"]) == (303, "/sign-in")
    assert (again.status, "ask your operator" in again.text) == (404, True)


async def test_signing_out_everywhere_is_for_the_person(shared: ApiHarness) -> None:
    """A member ends the own sessions in all browsers, and those of no one else."""
    ada, bob = [await signed_in(shared, name, Role.READER) for name in ("ada", "bob")]

    body = form(form_token=await ada.token(), everywhere="yes")
    session = ada.session
    await ada.send("POST", "/sign-out", body)
    ada.session = session

    assert (await ada.send("GET", "/jobs")).status == 401
    assert (await bob.send("GET", "/jobs")).status == 200


async def test_an_issuer_signs_in(shared: ApiHarness) -> None:
    """The browser goes there and comes back; the ticket that it keeps is for this one attempt."""
    await shared.stop()
    shared.identity = KnownPeople(s1="<b>ada</b>")
    await shared.start()
    link = await invited(shared, Role.READER)
    browser = WebPages(shared)
    assert f"/sign-in/issuer?invitation={link}" in (await browser.send("GET", f"/join/{link}")).text
    assert "Sign in with id.example" in (await browser.send("GET", "/sign-in")).text

    away = await browser.send("GET", f"/sign-in/issuer?invitation={link}")
    cookie = away.headers["set-cookie"]
    state = away.headers["location"].partition("state=")[2]
    ticket = cookie.partition(";")[0]
    back = f"/sign-in/issuer/return?state={state}&code=s1"
    stranger = await WebPages(shared).send("GET", back)
    refused = await browser.send("GET", "/sign-in/issuer/return?error=access_denied", Cookie=ticket)
    returned = await browser.send("GET", back, Cookie=ticket)

    assert away.headers["location"].startswith("https://id.example/")
    assert {"HttpOnly", "SameSite=Lax", "Path=/sign-in/issuer"} <= {*cookie.split("; ")}
    assert (stranger.status, refused.status) == (401, 401)
    assert (returned.status, returned.headers["location"]) == (303, "/jobs")
    page = await browser.send("GET", "/members")
    assert "id.example/&lt;b&gt;ada" in page.text
    assert "Your password" not in page.text
