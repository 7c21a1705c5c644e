"""The pages of environments: what they are made of, their versions, and who may use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.environment import PublishEnvironmentRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import owner_of_second_account
from tests.unit.api.usecases.environments.building import build, image_of
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_an_environment_is_rolled_back(api: ApiHarness) -> None:
    """Each version but the current one has a button; a version that never was is refused."""
    await build(api, "science", a="1")
    one = await image_of(api, "science")
    await build(api, "science", a="2")
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/environments/science")
    token = f"form_token={page.token}"

    assert 'aria-label="Use version 1 again"' in page.text
    assert 'aria-label="Use version 2 again"' not in page.text
    done = await browser.send("POST", "/environments/science/rollback", f"number=1&{token}")
    wrong = await browser.send("POST", "/environments/science/rollback", f"number=9&{token}")
    unsigned = await browser.send("POST", "/environments/science/rollback", "number=1")

    assert (done.status, done.headers["location"]) == (303, "/environments/science")
    assert (wrong.status, unsigned.status) == (422, 403)
    assert await image_of(api, "science") == one
    assert '<a href="/environments/science">' in (await browser.send("GET", "/environments")).text


async def test_an_environment_is_described_and_deleted(api: ApiHarness) -> None:
    """What its owner wrote about it is text; one that jobs use stays, and the page says why."""
    await build(api, "science", a="1")
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"

    text = "desc=%3Cb%3Emine%3C/b%3E"
    await browser.send("POST", "/environments/science/describe", f"{text}&{token}")
    page = await browser.send("GET", "/environments/science")
    [jid] = await api.submit(1, env="science")
    refused = await browser.send("POST", "/environments/science/delete", token)
    jobs = await browser.send("GET", "/jobs?env=science")
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
    deleted = await browser.send("POST", "/environments/science/delete", token)

    assert "&lt;b&gt;mine&lt;/b&gt;" in page.text
    assert (refused.status, f"in use by job {jid}" in refused.text) == (422, True)
    assert f'href="/jobs/{jid}"' in jobs.text
    assert deleted.headers["location"] == "/environments"
    assert "There are no environments" in (await browser.send("GET", "/environments")).text
    assert (await browser.send("GET", "/environments/science")).status == 404
    assert (await browser.send("POST", "/environments/science/explode", token)).status == 404


async def test_only_public_environments_are_shown_to_others(api: ApiHarness) -> None:
    """Their pages and buttons are for their owner alone."""
    path = (await build(api, "science", a="1")).path
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    token = f"form_token={await other.token()}"

    private = (await other.send("GET", "/environments")).text
    environments = api.use_cases.environments.environments
    await environments.publish(ACCOUNT, PublishEnvironmentRequest(name="science", public=True))
    public = (await other.send("GET", "/environments")).text
    foreign = [
        await other.send("GET", "/environments/science"),
        await other.send("POST", "/environments/science/withdraw", token),
        await other.send("POST", "/environments/science/delete", token),
    ]
    own = f"form_token={await browser.token()}"
    await browser.send("POST", "/environments/science/withdraw", own)

    assert (path in private, path in public) == (False, True)
    assert [each.status for each in foreign] == [404, 404, 404]
    assert path not in (await other.send("GET", "/environments")).text
    shown = await browser.send("POST", "/environments/science/publish", own)
    assert shown.status == 303
    assert (await environments.get(ACCOUNT, "science")).public
