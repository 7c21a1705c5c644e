"""A person's way into an account: an invitation, a name and a password, the pages of people."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from cloud._resources.member import MemberClient
from cloud._resources.password_reset import PasswordResetClient
from picloud_model.wire.role import Role
from playwright.sync_api import expect

from tests.browser.conftest import violations
from tests.e2e.stack_hashicorp import HashiCorpStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}},
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HashiCorpStack]:
    """A stack that several people use."""
    started = HashiCorpStack(tmp_path_factory.mktemp("shared"))
    started.start()
    yield started
    started.stop()


def check(page: Page) -> None:
    """Check that a page follows the guidelines and fits the screen."""
    assert violations(page) == [], page.url
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), page.url


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark-narrow"])
def test_from_an_invitation_to_the_audit_log(
    shared: HashiCorpStack, chromium: Browser, look: dict[str, Any]
) -> None:
    """A person joins, invites another, signs out, and signs in again after a wrong password."""
    name = f"ada{look['viewport']['width']}@example.org"
    with contextlib.closing(shared.client()) as client:
        link = MemberClient(client.transport).invite(Role.OWNER).link
    context = chromium.new_context(**look)
    page = context.new_page()
    page.goto(link)
    check(page)
    page.get_by_label("E-mail or name").fill(name)
    page.get_by_label("Password of").fill("correct horse")
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url("**/jobs")
    expect(page.get_by_text(f"{name}, account")).to_be_visible()

    page.goto(f"{shared.url}/members")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("alert")).to_contain_text("/join/a0000001-")
    check(page)
    for path in ("/audit", "/keys"):
        page.goto(f"{shared.url}{path}")
        check(page)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/sign-in")
    check(page)
    for password in ("wrong", "correct horse"):
        page.get_by_label("E-mail or name").fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        if password == "wrong":
            expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    page.wait_for_url("**/jobs")
    with contextlib.closing(shared.client()) as client:
        page.goto(PasswordResetClient(client.transport).create(name).link)
    check(page)
    page.get_by_label("Password of").fill("battery staple")
    page.get_by_role("button", name="Change the password").click()
    page.wait_for_url("**/sign-in")
    page.get_by_label("E-mail or name").fill(name)
    page.get_by_label("Password", exact=True).fill("battery staple")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/jobs")
    context.close()
