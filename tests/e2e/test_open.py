"""`picloud open` and the web pages, on every stack: signing in, and what a stranger gets."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e import nomad_requests
from tests.e2e.browser import Browser, browser
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.polling import until

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack


__all__ = ["browser"]


def test_a_browser_sees_a_job_and_kills_it(browser: Browser, client: Client, stack: Stack) -> None:
    """A job appears on the dashboard; its page shows its output while it runs, and a button."""

    def wait() -> None:
        import time

        print("<b>has begun</b>", flush=True)
        time.sleep(600)

    jid = int(client.call(wait, _label="seen in a browser"))
    dashboard = browser.text("/jobs?label=seen+in+a+browser")
    assert f'href="/jobs/{jid}"' in dashboard
    until(
        lambda: "&lt;b&gt;has begun&lt;/b&gt;" in browser.text(f"/jobs/{jid}"),
        "the page shows the output",
        60.0,
    )
    token = re.search(r'name="form_token" value="(\w+)"', dashboard)
    assert token

    killed = browser.send("POST", f"/jobs/{jid}/kill", form_token=token[1])

    assert (killed.status, killed.headers["location"]) == (303, f"/jobs/{jid}")
    until(lambda: client.status(jid) == "killed", "the job is killed")
    assert "has begun" in browser.send("GET", f"/jobs/{jid}/files/stdout.txt").data.decode()


def test_pages_of_another_account_do_not_exist(
    browser: Browser, client: Client, other: Client
) -> None:
    """Jobs of others are as unknown as those that were never made."""
    # A jid that the account of the browser does not have yet.
    jid = int(other.map(abs, range(int(client.call(abs, 1)) + 1000))[-1])
    other.kill()

    assert browser.send("GET", f"/jobs/{jid}").status == 404
    assert browser.send("GET", f"/maps/{jid}").status == 404


def test_a_stranger_sees_the_sign_in_page_only(stack: Stack, browser: Browser) -> None:
    """Without a session nothing is shown or done; a cookie opens nothing below `/v1`."""
    stranger = Browser(stack)

    assert stranger.send("GET", "/").headers["location"] == "/jobs"
    assert stranger.send("GET", "/jobs").status == 401
    assert stranger.send("POST", "/jobs/kill", jids="1").status == 401
    assert browser.send("POST", "/v1/jobs/list").status == 401
    page = stranger.text("/sign-in")
    reply = stranger.send("POST", "/sign-in", key=stack.key)
    if isinstance(stack, HashiCorpStack):  # and the one with containers, which is one, too
        assert 'name="key"' in page
        assert reply.status == 303
        assert stranger.send("GET", "/jobs").status == 200
    else:
        assert 'name="key"' not in page
        assert reply.status == 403
        assert stranger.send("GET", "/jobs").status == 401


def _wait_for(flag: str) -> None:
    while not Path(flag).exists():
        time.sleep(0.05)


def test_a_job_leads_to_its_slot_in_nomad(browser: Browser, client: Client, stack: Stack) -> None:
    """Its page links to the allocation; the job of Nomad's links back to the pages."""
    flag = stack.shared / "seen"
    jid = int(client.call(_wait_for, str(flag)))
    until(lambda: client.status(jid) == "processing", "the job runs")
    found = re.findall(r'href="([^"]*)/ui/allocations/([^"]+)"', browser.text(f"/jobs/{jid}"))
    flag.touch()
    client.result(jid, 60)

    if not isinstance(stack, HashiCorpStack):
        assert found == []
        return
    ((address, allocation),) = found
    nomad = stack.addresses().nomad
    job = nomad_requests.get(nomad, f"allocation/{allocation}")["Job"]
    assert address == nomad.address
    assert "account a0000001 of" in job["UI"]["Description"]
    assert job["UI"]["Links"][0]["Url"].endswith("/jobs")  # parsed jobspecs have "URL"
