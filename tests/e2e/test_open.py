"""`picloud open` and the web pages, on every stack: signing in, and what a stranger gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import urllib3

from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


class Browser:
    """A browser of one stack: it keeps its cookie and follows nothing."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._cookie: dict[str, str] = {}

    def send(self, method: str, path: str, **fields: str) -> Any:
        """Send a request, a form if it has fields; return the reply."""
        body = urlencode(fields)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
        reply = urllib3.request(
            method,
            f"{self._stack.url}{path}",
            body=body,
            headers={**self._cookie, **form},
            redirect=False,
        )
        if "set-cookie" in reply.headers:
            self._cookie = {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
        return reply

    def text(self, path: str) -> str:
        """Return a page that must be there."""
        reply = self.send("GET", path)
        assert reply.status == 200, reply.data
        return reply.data.decode()  # type: ignore[no-any-return]


@pytest.fixture
def browser(stack: Stack, picloud: Callable[..., Exited]) -> Browser:
    """A browser that `picloud open` has signed in."""
    link = picloud("open", "--no-browser").out.strip()
    opened = Browser(stack)
    assert link.startswith(f"{stack.url}/sign-in/")
    assert opened.send("GET", link.removeprefix(stack.url)).status == 303
    assert Browser(stack).send("GET", link.removeprefix(stack.url)).status == 404
    return opened


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
    until(lambda: client.status(jid) == "killed", "the job is killed", 10.0)
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
