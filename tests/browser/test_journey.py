"""A person's way: see a job appear, watch it, read why another failed, and kill the first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cloud
from playwright.sync_api import expect

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client
    from playwright.sync_api import Page


def _wait() -> None:
    print("has begun", flush=True)
    time.sleep(600)


def _fail() -> None:
    import json

    json.loads("{")


def test_from_a_submit_to_a_kill(page: Page, client: Client) -> None:
    """What is submitted in Python appears by itself; so do output and the end; nothing reloads."""
    page.evaluate("window.kept = true")
    running = int(client.call(_wait, _label="journey"))
    failed = int(client.call(_fail, _label="journey"))

    row = page.locator(f"#b{running}")
    expect(row).to_contain_text("processing", timeout=20_000)
    expect(page.locator(f"#b{failed}")).to_contain_text("error", timeout=20_000)
    assert page.evaluate("window.kept")

    page.get_by_role("link", name=str(failed), exact=True).click()
    own = page.locator("details", has_text="in _fail")
    assert own.get_attribute("open") is not None
    library = page.locator("details", has_text="in raw_decode").last
    assert library.get_attribute("open") is None
    library.locator("summary").click()
    expect(library.locator("pre")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the exception").click()
    assert "JSONDecodeError" in download.value.path().read_text(encoding="utf-8")

    page.goto(f"{page.url.removesuffix(str(failed))}{running}")
    expect(page.get_by_text("has begun")).to_be_visible(timeout=20_000)
    options = page.locator("details", has_text="options")
    options.locator("summary").click()
    with page.expect_response(lambda reply: "stamp=" in reply.url and reply.status == 200):
        pass
    page.wait_for_function("!document.querySelector('.htmx-request, .htmx-swapping')")
    assert options.get_attribute("open") is not None
    page.get_by_role("button", name="Kill").click()
    expect(page.locator("dd .status")).to_have_text("killed", timeout=20_000)
    expect(page.get_by_role("button", name="Delete")).to_be_visible()


def _area(width: float, height: float = 1.0) -> float:
    return width * height


def test_a_published_function_is_called_by_its_form(page: Page, client: Client) -> None:
    """What does not fit is said above the form, which keeps the fields; the result is shown."""
    with current_client(client):
        cloud.rest.publish(_area, "area")
    page.get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="area", exact=True).click()
    page.get_by_label("width").fill("2.5")
    page.get_by_label("height").fill("much")
    page.get_by_role("button", name="Call").click()
    expect(page.get_by_role("alert")).to_have_text("The argument 'height' must be a number.")

    assert page.get_by_label("width").input_value() == "2.5"
    page.get_by_label("height").fill("4")
    page.get_by_role("button", name="Call").click()

    expect(page.locator("pre", has_text="10.0")).to_be_visible(timeout=20_000)
    expect(page.locator("dd .status")).to_have_text("done")


def test_chosen_rows_stay_chosen_while_the_list_changes(page: Page, client: Client) -> None:
    """A new job does not uncheck a box; the buttons act on the chosen rows only."""
    chosen, other = (list(client.map(abs, range(3), _label="bulk")) for _ in range(2))
    client.join([*chosen, *other], 60)
    box = page.get_by_role("checkbox", name=f"Choose jobs {chosen[0]}")
    expect(box).to_be_visible(timeout=20_000)
    box.check()
    later = int(client.call(abs, 1, _label="bulk"))
    expect(page.locator(f"#b{later}")).to_be_visible(timeout=20_000)
    expect(box).to_be_checked()

    page.get_by_role("button", name="Delete").click()

    expect(page.locator(f"#b{chosen[0]}")).to_have_count(0)
    expect(page.locator(f"#b{other[0]}")).to_be_visible()


def test_the_keyboard_is_enough(page: Page, client: Client) -> None:
    """Tab and Enter reach the content, a job and the buttons."""
    jid = int(client.call(abs, 1, _label="keys"))
    page.goto(f"{page.url}?label=keys")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    box = page.get_by_role("checkbox", name=f"Choose job {jid}")
    for _ in range(10):
        page.keyboard.press("Tab")
        if box.evaluate("box => box === document.activeElement"):
            break
    expect(box).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name=f"Job {jid}")).to_be_visible()


def test_a_session_that_ends_leads_to_the_sign_in_page(page: Page, client: Client) -> None:
    """A dashboard that is open says that it was signed out, once a job changes."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Sign out everywhere").click()
    client.call(abs, 1)

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=20_000)
