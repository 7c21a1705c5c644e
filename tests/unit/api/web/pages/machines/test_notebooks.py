"""The page of notebooks, and the one on which others type the second password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from picloud_model.wire.notebook import LEAST_PASSWORD, RunNotebookRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

PASSWORD = "two words for us"
SHARED = f"/notebooks/shared/{ACCOUNT}-a-nb"


async def run(api: ApiHarness, port: int | None = None) -> None:
    """Have job 1 run a notebook."""
    await api.submit(1)
    request = RunNotebookRequest(name="a", jid=1, port=port)
    await api.use_cases.environments.notebooks.run(ACCOUNT, request)


async def send(browser: WebPages, verb: str, **fields: str) -> tuple[int, str]:
    """Send a form of the page; return the status and the page."""
    body = urlencode({"form_token": await browser.token(), "name": "a", **fields})
    reply = await browser.send("POST", f"/notebooks/{verb}", body)
    return reply.status, reply.text


async def test_notebooks_are_shown_with_their_jobs(api: ApiHarness) -> None:
    """Where there are no hosts for them, the page says what opens them instead."""
    await run(api)
    browser = await WebPages(api).open()

    page = await browser.send("GET", "/notebooks")

    assert '<a href="/jobs/1">1</a>' in page.text
    assert "<td>starting</td>" in page.text
    assert "use <code>picloud notebook open NAME</code>" in page.text
    assert "/notebooks/open/a" not in page.text
    refused = await browser.send("GET", "/notebooks/open/a")
    assert refused.status == 403
    assert "PICLOUD_CONTENT_URL" in refused.text
    assert (await WebPages(api).send("GET", "/notebooks/open/a")).status == 401


async def test_passwords_are_set_and_revoked(api: ApiHarness) -> None:
    """By forms of the page only; too short ones are refused."""
    await run(api)
    browser = await WebPages(api).open()
    notebooks = api.use_cases.environments.notebooks

    short, text = await send(browser, "password", password="x" * (LEAST_PASSWORD - 1))
    assert (short, "password" in text) == (422, True)
    assert (await send(browser, "password", password=PASSWORD))[0] == 303
    assert await notebooks.check_password(ACCOUNT, "a", PASSWORD)
    assert "Revoke" in (await browser.send("GET", "/notebooks")).text
    assert (await browser.send("POST", "/notebooks/revoke", "name=a")).status == 403
    assert (await send(browser, "revoke"))[0] == 303
    assert not (await notebooks.get(ACCOUNT, "a")).has_password
    assert (await send(browser, "nothing"))[0] == 404
    assert (await send(browser, "delete"))[0] == 422
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])
    assert (await send(browser, "delete"))[0] == 303
    assert (await notebooks.list(ACCOUNT)).notebooks == []


async def test_a_notebook_is_stopped_and_started_again(api: ApiHarness) -> None:
    """By buttons of the page; the next job is another one."""
    await run(api)
    browser = await WebPages(api).open()
    assert "/notebooks/stop" in (await browser.send("GET", "/notebooks")).text

    assert (await send(browser, "stop"))[0] == 303
    page = (await browser.send("GET", "/notebooks")).text
    assert 'aria-label="Start a"' in page
    assert (await send(browser, "start", kind="desktop"))[0] == 404
    assert (await send(browser, "start", kind="other"))[0] == 422
    assert (await send(browser, "start", kind="notebook"))[0] == 303

    [notebook] = (await api.use_cases.environments.notebooks.list(ACCOUNT)).notebooks
    assert (notebook.jid, notebook.ended) == (2, False)


async def test_others_are_asked_for_the_password(api: ApiHarness) -> None:
    """Without one, and where there is no notebook, the page is the same; guesses take longer."""
    await run(api)
    others = WebPages(api)

    pages = [await others.send("GET", path) for path in (SHARED, f"{SHARED[:-4]}b-nb")]
    assert [each.status for each in pages] == [200, 200]
    assert pages[0].text == pages[1].text
    wrong = [await others.send("POST", SHARED, f"password={n}") for n in range(5)]
    assert {each.status for each in wrong} == {401}
    assert "This is not the password." in wrong[0].text
    assert "The next attempt takes 1.6 s." in wrong[-1].text
    foreign = {"Sec_Fetch_Site": "cross-site"}
    assert (await others.send("POST", SHARED, "password=x", **foreign)).status == 403


@pytest.mark.parametrize("label", ["www", "..%2f..", "a0000001-A-nb", "%00"])
async def test_other_addresses_have_no_notebook(api: ApiHarness, label: str) -> None:
    """A path that leads elsewhere is a wrong password, too."""
    reply = await WebPages(api).send("POST", f"/notebooks/shared/{label}", "password=x")

    assert reply.status in (401, 404)
