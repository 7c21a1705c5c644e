"""A desktop in a real Chromium: opened by one click, it shows the window of an X program."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import TYPE_CHECKING, Final

import pytest
from cloud import desktop
from cloud._resources.sign_in import SignInClient
from PIL import Image
from playwright.sync_api import expect

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloud._client.client import Client
    from playwright.sync_api import Browser, BrowserContext, Page

NAME: Final = "drawings"
PASSWORD: Final = "two words for us"
WAIT_S: Final = 120.0
START_MS: Final = 60_000
WIDTH, HEIGHT = 400, 300
COLOUR: Final = (200, 30, 90)
PRESSED: Final = (10, 160, 60)
PROGRAM: Final = """
import tkinter
root = tkinter.Tk()
root.geometry("{width}x{height}+200+150")
root.configure(background="{colour}")
root.bind("<KeyPress-p>", lambda _: root.configure(background="{pressed}"))
root.after(500, root.focus_force)
root.mainloop()
"""


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """Return a colour as X programs name it."""
    return "#" + bytes(colour).hex()


def pixels(page: Page, colour: tuple[int, int, int]) -> int:
    """Return how many pixels of a screenshot have a colour, or nearly."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    counted = image.getcolors(image.width * image.height) or []
    return sum(
        count
        for count, found in counted
        if all(abs(one - other) <= 8 for one, other in zip(found, colour, strict=True))
    )


@pytest.fixture
def running(client: Client, tmp_path: Path) -> Iterator[str]:
    """The name of a desktop on which a program has drawn a window."""
    program = tmp_path / "window.py"
    colours = {"colour": hexadecimal(COLOUR), "pressed": hexadecimal(PRESSED)}
    program.write_text(PROGRAM.format(width=WIDTH, height=HEIGHT, **colours))
    with current_client(client):
        desktop.start(NAME, run=f"exec {sys.executable} {program}")
        desktop.url(NAME, timeout=WAIT_S)
    yield NAME
    with current_client(client), contextlib.suppress(Exception):
        desktop.stop(NAME)


@pytest.fixture
def window(chromium: Browser) -> Iterator[BrowserContext]:
    """A window that is not signed in, as large as the screen."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


def test_a_desktop_is_opened_by_one_click(
    window: BrowserContext, client: Client, running: str
) -> None:
    """By who is signed in to the pages: a screenshot has the window, and keys reach the program."""
    page = window.new_page()
    page.goto(SignInClient(client.transport).link())
    page.get_by_role("link", name="Notebooks", exact=True).click()
    with window.expect_page() as opened:
        page.get_by_role("link", name=f"Open {running}").click()
    screen = opened.value
    screen.wait_for_url("**/desktop", timeout=START_MS)
    expect(screen.locator("canvas")).to_be_visible(timeout=START_MS)
    drawn = WIDTH * HEIGHT * 0.95

    until(lambda: pixels(screen, COLOUR) > drawn, "the window is in a screenshot", WAIT_S)
    screen.keyboard.press("p")
    until(lambda: pixels(screen, PRESSED) > drawn, "the program has received a key", WAIT_S)

    assert screen.title() == f"{running} - PiCloud"
    assert "picloud_visit" not in screen.evaluate("document.cookie")


def test_others_open_it_with_the_second_password(
    window: BrowserContext, client: Client, running: str
) -> None:
    """Once it is revoked, the screen is no longer there for them."""
    with current_client(client):
        address = desktop.password(running, PASSWORD)
    assert address is not None
    page = window.new_page()
    page.goto(address)
    page.get_by_label("The password").fill(PASSWORD)
    page.get_by_role("button", name="Open").click()
    page.wait_for_url("**/desktop", timeout=START_MS)
    until(lambda: pixels(page, COLOUR) > WIDTH * HEIGHT / 2, "the window is shown", WAIT_S)

    with current_client(client):
        desktop.password(running, None)

    expect(page.get_by_role("status")).to_contain_text("cannot be reached now", timeout=START_MS)
    page.reload()
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
