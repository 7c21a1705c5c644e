"""Visitors: recognised by a cookie that scripts and other sites cannot use; forms by a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import owner_of_second_account
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_the_cookie_is_for_requests_of_this_site_only(api: ApiHarness) -> None:
    """Scripts do not see it, and other sites' forms are sent without it."""
    link = await api.use_cases.accounts.sessions.create_link(
        await api.use_cases.accounts.accounts.holder(api.server.key)
    )

    cookie = (await WebPages(api).send("GET", link.path)).headers["set-cookie"]
    link = await api.use_cases.accounts.sessions.create_link(
        await api.use_cases.accounts.accounts.holder(api.server.key)
    )
    over_tls = await WebPages(api).send("GET", link.path, X_Forwarded_Proto="https")

    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"} <= {*cookie.split("; ")}
    assert "Domain" not in cookie
    assert "Secure" in over_tls.headers["set-cookie"]


async def test_a_link_that_another_site_opens_is_refused(api: ApiHarness) -> None:
    """A site cannot sign a visitor in to an account of its own choice."""
    link = await api.use_cases.accounts.sessions.create_link(
        await api.use_cases.accounts.accounts.holder(api.server.key)
    )
    browser = WebPages(api)

    page = await browser.send("GET", link.path, Sec_Fetch_Site="cross-site")

    assert (page.status, browser.session) == (403, "")
    assert (await browser.send("GET", link.path, Sec_Fetch_Site="none")).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_is_refused(api: ApiHarness, headers: dict[str, str]) -> None:
    """Even with the cookie and the token: the browser says where a form was."""
    (jid,) = await api.submit(1)
    browser = await WebPages(api).open()
    body = f"jids={jid}&form_token={await browser.token()}"

    page = await browser.send("POST", "/jobs/kill", body, **headers)

    assert (page.status, "another site" in page.text) == (403, True)
    assert await api.statuses(range(jid, jid + 1)) == ["queued"]


async def test_a_form_needs_the_token_of_its_session(api: ApiHarness) -> None:
    """A token that is missing, invented or of another session changes nothing."""
    (jid,) = await api.submit(1)
    browser, other = await WebPages(api).open(), await WebPages(api).open()
    tokens = ["", "x", await other.token(), "%F0%9F%92%A5"]

    pages = [
        await browser.send("POST", "/jobs/kill", f"jids={jid}&form_token={token}")
        for token in tokens
    ]

    assert [page.status for page in pages] == [403] * 4
    assert await api.statuses(range(jid, jid + 1)) == ["queued"]


async def test_a_body_that_is_not_a_form_is_refused(api: ApiHarness) -> None:
    """JSON and broken text are errors with a sentence; a body may not be long."""
    browser = await WebPages(api).open()

    json = await browser.send("POST", "/jobs/kill", "{}", Content_Type="application/json")
    broken = await browser.send("POST", "/jobs/kill", "jids=\N{BLACK STAR}")
    long = await browser.send("POST", "/jobs/kill", "a" * 300_000)

    assert [each.status for each in (json, broken, long)] == [422, 422, 413]


async def test_the_session_is_of_its_account_only(api: ApiHarness) -> None:
    """Pages about a job of another account say that there is none, as of a job that never was."""
    (jid,) = await api.submit(1)
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    token = await other.token()
    paths = [f"/jobs/{jid}", f"/maps/{jid}", f"/jobs/{jid}/files/stdout.txt"]
    paths += [f"/jobs/{jid}/result.json"]

    for path in paths:
        page, never = (
            await other.send("GET", path),
            await other.send("GET", path.replace(str(jid), str(jid + 900))),
        )
        assert (page.status, never.status) == (404, 404)
        assert page.text == never.text.replace(str(jid + 900), str(jid))
    for verb in ("kill", "delete"):
        page = await other.send("POST", f"/jobs/{jid}/{verb}", f"form_token={token}")
        assert page.status == 404
        page = await other.send("POST", f"/jobs/{verb}", f"jids={jid}&form_token={token}")
        assert page.status == 404
    assert await api.statuses(range(jid, jid + 1)) == ["queued"]
    assert ACCOUNT not in (await other.send("GET", "/jobs")).text
