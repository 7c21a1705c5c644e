"""A notebook in a real Chromium: opened by one click, it runs cells, draws, and calls the cloud."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import pytest
from cloud import notebook
from cloud._resources.sign_in import SignInClient
from playwright.sync_api import expect

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.e2e.stacks import EmbeddedStack

NAME: Final = "primer"
PASSWORD: Final = "two words for us"
WAIT_S: Final = 120.0
START_MS: Final = 60_000
CELL_MS: Final = 60_000
WINDOW: Final = {"width": 1280, "height": 2400}  # JupyterLab draws only the cells that are visible


@pytest.fixture
def running(client: Client) -> Iterator[str]:
    """The name of a notebook that runs."""
    with current_client(client):
        notebook.start(NAME)
        notebook.url(NAME, timeout=WAIT_S)
    yield NAME
    with current_client(client), contextlib.suppress(Exception):
        notebook.stop(NAME)


@pytest.fixture
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """A window that is not signed in."""
    context = chromium.new_context(viewport=WINDOW)
    yield context
    context.close()


def run_cell(lab: Page, code: str) -> None:
    """Type a cell below the others, and run it."""
    cells = lab.locator(".jp-Notebook .jp-CodeCell")
    count = cells.count()
    lab.locator(".jp-Notebook-footer").click()
    expect(cells).to_have_count(count + 1, timeout=CELL_MS)
    cells.last.locator(".cm-content").click()
    lab.keyboard.insert_text(code)
    expect(cells.last).to_contain_text(code)
    lab.keyboard.press("Shift+Enter")


def output(lab: Page, text: str) -> None:
    """Wait until a cell has printed or returned a text."""
    shown = lab.locator(".jp-OutputArea-output", has_text=text).first
    expect(shown).to_be_visible(timeout=CELL_MS)


def test_a_notebook_is_opened_by_one_click(
    window: BrowserContext, client: Client, running: str, stack: EmbeddedStack
) -> None:
    """By who is signed in to the pages; its cookie is for its own host alone, and no script's."""
    page = window.new_page()
    page.goto(SignInClient(client.transport).link())
    page.get_by_role("link", name="Notebooks", exact=True).click()
    with window.expect_page() as opened:
        page.get_by_role("link", name=f"Open {running}").click()
    lab = opened.value
    lab.wait_for_url("**/lab", timeout=START_MS)

    lab.goto(f"{lab.url}/tree/Primer.ipynb")
    expect(lab.locator(".jp-Notebook")).to_be_visible(timeout=START_MS)
    expect(lab.get_by_role("button", name="(ipykernel) | Idle")).to_be_visible(timeout=START_MS)
    lab.get_by_role("menuitem", name="Run", exact=True).click()
    lab.get_by_text("Run All Cells", exact=True).click()
    output(lab, "Primer.ipynb")  # of `!ls`
    bars = lab.locator(".jp-OutputArea-output svg rect, .jp-OutputArea-output img[src*=svg]")
    expect(bars.first).to_be_visible(timeout=CELL_MS)
    run_cell(lab, "sum(cloud.result(cloud.map(abs, [-40, -2])))")
    output(lab, "42")

    cookies = {each["name"]: each for each in window.cookies(lab.url)}
    assert cookies["picloud_visit"]["httpOnly"]
    assert not any(name.startswith("picloud_session") for name in cookies)
    assert "picloud_visit" not in lab.evaluate("document.cookie")
    assert [each["name"] for each in window.cookies(stack.url)] == [
        f"picloud_session_{stack.url.rpartition(':')[2]}"
    ]


def test_others_open_it_with_the_second_password(
    window: BrowserContext, client: Client, running: str
) -> None:
    """They know no key; once the password is revoked, what they have opened no longer works."""
    with current_client(client):
        address = notebook.password(running, PASSWORD)
    assert address is not None
    page = window.new_page()
    page.goto(address)
    page.get_by_label("The password").fill("a wrong guess")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the password")
    page.get_by_label("The password").fill(PASSWORD)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url("**/lab", timeout=START_MS)
    expect(page.locator(".jp-DirListing-item", has_text="Primer.ipynb")).to_be_visible(
        timeout=START_MS
    )

    with current_client(client):
        notebook.password(running, None)

    page.reload()
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
