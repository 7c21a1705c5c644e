"""Errors as pages: a sentence, a status, and where to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.accounts.account import Holder
from picloud_model.errors import Unavailable

from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/0", 404),
        ("/jobs/99999999999999999999", 404),
        ("/jobs/x", 404),
        ("/jobs/1/nothing", 404),
        ("/jobs/9007199254740991", 404),
        ("/maps/9007199254740991", 404),
        ("/jobs?status=%3Cb%3E", 422),
        ("/jobs?age=5y", 422),
        ("/jobs?before=-1", 422),
        ("/jobs/1/files/passwd", 404),
    ],
)
async def test_errors_are_pages(api: ApiHarness, path: str, status: int) -> None:
    """Unknown pages and bad parameters are explained in HTML, with the security headers."""
    page = await (await WebPages(api).open()).send("GET", path)

    assert (page.status, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert 'role="alert"' in page.text
    assert page.headers["x-frame-options"] == "DENY"


async def test_who_is_not_signed_in_is_sent_to_sign_in(api: ApiHarness) -> None:
    """Without a session a page links there, and a page that updates itself goes there."""
    browser = WebPages(api)

    page = await browser.send("GET", "/jobs")
    update = await browser.send("GET", "/jobs?stamp=x", HX_Request="true")

    assert (page.status, 'href="/sign-in"' in page.text) == (401, True)
    assert (update.status, update.headers["hx-redirect"]) == (401, "/sign-in")


async def test_a_session_that_ends_within_a_form_loses_nothing(api: ApiHarness) -> None:
    """The form is refused, and says that signing in is needed."""
    (jid,) = await api.submit(1)
    browser = await WebPages(api).open()
    body = f"jids={jid}&form_token={await browser.token()}"
    await api.use_cases.accounts.sessions.end_all(Holder("a0000001", ""))

    page = await browser.send("POST", "/jobs/kill", body)

    assert (page.status, "session has ended" in page.text) == (401, True)
    assert await api.statuses(range(jid, jid + 1)) == ["queued"]


async def test_a_method_that_a_page_does_not_have_is_refused(api: ApiHarness) -> None:
    """Deleting by a link is not possible."""
    browser = await WebPages(api).open()

    assert (await browser.send("GET", "/jobs/delete")).status == 405
    assert (await browser.send("PUT", "/jobs")).status == 405


async def test_a_store_that_is_away_is_a_page_to_try_again(api: ApiHarness) -> None:
    """The reply says when to try again."""
    browser = await WebPages(api).open()

    async def fail(keys: object) -> dict[str, object]:
        raise Unavailable("The state store does not answer.")

    api.state.get = fail  # type: ignore[assignment,method-assign]
    page = await browser.send("GET", "/jobs")

    assert (page.status, page.headers["retry-after"]) == (503, "1")
    assert "The state store does not answer." in page.text
