"""What the tests in a browser share: one stack, one Chromium, and a window for each test."""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cloud._resources.sign_in import SignInClient
from playwright.sync_api import sync_playwright

from tests.e2e.stacks import EmbeddedStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client
    from playwright.sync_api import Browser, BrowserContext, Page

AXE: Final = Path(sys.prefix) / "axe.min.js"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A stack for all tests."""
    started = EmbeddedStack(tmp_path_factory.mktemp("stack"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def client(stack: EmbeddedStack) -> Iterator[Client]:
    """A client of the stack."""
    with contextlib.closing(stack.client()) as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium of the system."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(f"Install a Chromium: none of {', '.join(NAMES)} is on PATH.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def open_window(chromium: Browser, client: Client) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows that are signed in; no page in one may run a foreign script or break a rule."""
    problems: list[str] = []
    opened: list[BrowserContext] = []

    def open_one(**options: Any) -> BrowserContext:
        context = chromium.new_context(**options)
        context.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        context.on("weberror", lambda error: problems.append(f"error: {error.error}"))
        context.on(
            "console",
            lambda message: (
                message.type in ("error", "warning")
                and problems.append(f"{message.type}: {message.text}")
            ),
        )
        page = context.new_page()
        page.goto(SignInClient(client.transport).link())
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()
    # A page that updates itself after its session has ended is refused once, as are wrong forms.
    expected = ("401 (Unauthorized)", "400 (Bad Request)")
    assert [each for each in problems if not each.rstrip().endswith(expected)] == []


@pytest.fixture
def page(open_window: Callable[..., BrowserContext]) -> Page:
    """A window on the dashboard."""
    return open_window().pages[0]


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page by the rules of WCAG 2.2, levels A and AA."""
    # In a world of its own, so that the policy of the page stays as it is.
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(f"axe.run({{runOnly: {rules!r}}})")
    assert len(found["passes"]) > 10
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
