"""The site: what a person does on its pages, without a browser."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from picloud_api.app import PAGES
from picloud_api.web.rendering import NAVIGATION
from picloud_api.web.site import SECURITY_HEADERS
from picloud_model.job import State

from tests.unit.api.api_harness import report_of
from tests.unit.api.recording_state import SharedRecordingState
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

HOSTILE = """"'><script>alert(1)</script>{{ 7 * 7 }}"""


async def test_every_reply_has_the_security_headers(api: ApiHarness) -> None:
    """Pages, files, errors, redirections and empty replies: nothing is framed, nothing inline."""
    browser = await WebPages(api).open()
    stamp = (await browser.send("GET", "/jobs")).stamp

    for path in ("/", "/jobs", f"/jobs?stamp={stamp}", "/jobs/7", "/sign-in", "/static/pages.css"):
        headers = (await browser.send("GET", path)).headers
        assert {name.lower(): value for name, value in SECURITY_HEADERS.items()}.items() <= (
            headers.items()
        )
    assert "unsafe" not in SECURITY_HEADERS["Content-Security-Policy"]


async def test_head_has_the_headers_of_get(api: ApiHarness) -> None:
    """And no body; a link to sign in is not used up by it."""
    browser = await WebPages(api).open()

    for path in ("/", "/jobs", "/jobs/7", "/nothing", "/sign-in", "/static/pages.css"):
        read, head = await browser.send("GET", path), await browser.send("HEAD", path)
        assert (head.status, head.text) == (read.status, "")
        assert head.headers["content-length"] == str(len(read.text.encode()))
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    link = await api.use_cases.accounts.sessions.create_link(holder)
    assert (await browser.send("HEAD", link.path)).status == 405
    assert (await browser.send("GET", link.path)).status == 303


def test_the_server_passes_requests_for_each_page_on() -> None:
    """The pages that every page links to are there for browsers."""
    assert {address.split("/")[1] for address, _ in NAVIGATION} <= PAGES


async def test_the_dashboard_has_a_row_for_each_batch(api: ApiHarness) -> None:
    """The newest is first; a map is one row with a bar of the states of its jobs."""
    first, second = await api.submit(3, function="early"), await api.submit(1, function="late")
    slot = await api.slot()
    await api.work(slot, reports=[report_of((await api.work(slot)).leases[0])], lease=False)
    browser = await WebPages(api).open()

    page = (await browser.send("GET", "/jobs")).text

    assert page.index(">late<") < page.index(">early<")
    assert f'href="/maps/{first[0]}"' in page
    assert f'href="/jobs/{second[0]}"' in page
    assert 'aria-label="1 done, 2 queued"' in page or 'aria-label="3 done"' in page


async def test_the_dashboard_can_be_filtered_and_paged(api: ApiHarness) -> None:
    """By status, label and function; the next page begins below the last jid."""
    for number in range(60):
        await api.submit(1, function=f"f{number}", label="even" if number % 2 == 0 else "odd")
    browser = await WebPages(api).open()

    assert "f58<" not in (await browser.send("GET", "/jobs?label=odd")).text
    assert "f59<" in (await browser.send("GET", "/jobs?label=odd&status=queued")).text
    assert "There are no such jobs." in (await browser.send("GET", "/jobs?status=done")).text
    newest = (await browser.send("GET", "/jobs")).text
    assert "f10<" in newest
    assert "f9<" not in newest
    older = (await browser.send("GET", "/jobs?before=11")).text
    assert "f9<" in older
    assert "f10<" not in older


@pytest.mark.parametrize("state", [SharedRecordingState, None])
async def test_an_open_dashboard_costs_nothing_while_nothing_changes(
    start_api: StartApi, state: type[SharedRecordingState] | None
) -> None:
    """The page asks with its stamp: no read and no transaction of the store until a job changes."""
    api = await start_api(state) if state else await start_api()
    jids = await api.submit(2000)
    browser = await WebPages(api).open()
    stamp = (await browser.send("GET", "/jobs")).stamp
    commits, reads = api.server.context.commits, len(api.state.reads)
    transactions = commits.transactions

    replies = [await browser.send("GET", f"/jobs?stamp={stamp}") for _ in range(20)]

    assert {reply.status for reply in replies} == {204}
    assert (len(api.state.reads), commits.transactions) == (reads, transactions)
    await api.use_cases.jobs.kill.kill("a0000001", [(jids[0], jids[0])])
    changed = await browser.send("GET", f"/jobs?stamp={stamp}", HX_Request="true")
    assert changed.status == 200
    assert "<html" not in changed.text
    assert "1 killed, 1,999 queued" in changed.text


async def test_hostile_names_are_shown_as_text(api: ApiHarness) -> None:
    """Names, labels, output and tracebacks never become markup, attributes or templates."""
    (jid,) = await api.submit(1, function=HOSTILE, label=HOSTILE)
    browser = await WebPages(api).open()

    for path in ("/jobs", f"/jobs/{jid}", f"/maps/{jid}", "/jobs?label=%22%3E%3Cscript%3E"):
        page = (await browser.send("GET", path)).text
        assert "<script>" not in page
        assert ("{{ 7 * 7 }}" in page) == ("?" not in path)


async def test_jobs_are_killed_and_deleted_in_bulk(api: ApiHarness) -> None:
    """The boxes of the chosen rows say which; the list shows the same filter afterwards."""
    first, second = await api.submit(3, label="a"), await api.submit(2, label="a")
    browser = await WebPages(api).open()
    boxes = f"jids={first[0]}-{first[-1]}&jids={second[0]}-{second[-1]}&back=label%3Da"
    form = f"{boxes}&form_token={await browser.token()}"

    killed = await browser.send("POST", "/jobs/kill", form)
    statuses = await api.statuses(range(first[0], second[-1] + 1))
    deleted = await browser.send("POST", "/jobs/delete", form)

    assert (killed.status, killed.headers["location"]) == (303, "/jobs?label=a")
    assert statuses == ["killed"] * 5
    assert deleted.status == 303
    assert "There are no such jobs." in (await browser.send("GET", "/jobs")).text
    none = await browser.send("POST", "/jobs/kill", f"form_token={await browser.token()}")
    assert (none.status, "No job is chosen" in none.text) == (422, True)


@pytest.mark.parametrize(
    "back", ["//evil.example", "%0d%0aSet-Cookie: a=b", "https://evil.example"]
)
async def test_a_form_cannot_send_the_browser_elsewhere(api: ApiHarness, back: str) -> None:
    """Where the list was is only the end of an address of this site."""
    (jid,) = await api.submit(1)
    browser = await WebPages(api).open()
    body = f"jids={jid}&back={back}&map={back}&form_token={await browser.token()}"

    page = await browser.send("POST", "/jobs/kill", body)

    assert page.headers["location"].startswith("/jobs?")
    assert "\n" not in page.headers["location"]
    assert "set-cookie" not in page.headers


async def test_a_map_shows_its_jobs_only(api: ApiHarness) -> None:
    """Its page lists them by status, newest first, with a page of 50."""
    await api.submit(2)
    jids = await api.submit(70)
    later = await api.submit(1)
    browser = await WebPages(api).open()

    page = (await browser.send("GET", f"/maps/{jids[0]}")).text
    older = (await browser.send("GET", f"/maps/{jids[0]}?before={jids[20]}")).text

    assert f'href="/jobs/{jids[-1]}"' in page
    assert f'href="/jobs/{later[0]}"' not in page
    assert f'href="/jobs/{jids[0]}"' in older
    assert f'href="/jobs/{jids[0] - 1}"' not in older


async def test_signing_out_everywhere_ends_other_browsers(api: ApiHarness) -> None:
    """Signing out removes the cookie of one browser; everywhere ends the session of each."""
    here, there = await WebPages(api).open(), await WebPages(api).open()

    out = await here.send("POST", "/sign-out", f"form_token={await here.token()}")
    assert (out.status, here.session) == (303, "")
    assert (await there.send("GET", "/jobs")).status == 200
    await there.send("POST", "/sign-out", f"everywhere=yes&form_token={await there.token()}")
    api.now += 1
    assert (await there.send("GET", "/jobs")).status == 401


async def test_keys_are_not_accepted_where_links_are_enough(api: ApiHarness) -> None:
    """The embedded stack shows no field for a key, and refuses one; a wrong key is refused."""
    browser = WebPages(api)

    page = await browser.send("GET", "/sign-in")
    refused = await browser.send("POST", "/sign-in", f"key={api.server.key}")

    assert 'name="key"' not in page.text
    assert (refused.status, browser.session) == (403, "")


async def test_a_key_signs_in_on_a_server_of_many(start_api: StartApi) -> None:
    """Elsewhere a key is pasted once; what is not a key is refused without saying why."""
    api = await start_api(SharedRecordingState)
    browser = WebPages(api)
    for wrong in ("", "x", f"{api.server.key[:-3]}xyz"):
        page = await browser.send("POST", "/sign-in", f"key={wrong}")
        assert (page.status, "not an active API key" in page.text) == (401, True)

    page = await browser.send("POST", "/sign-in", f"key=+{api.server.key}+")

    assert (page.status, page.headers["location"]) == (303, "/jobs")
    assert (await browser.send("GET", "/jobs")).status == 200


async def test_the_page_of_a_job_shows_why_it_failed(api: ApiHarness) -> None:
    """Its status, history and failure are shown and are files; an ended job has no kill."""
    (jid,) = await api.submit(1, function="broken")
    browser = await WebPages(api).open()
    waiting = (await browser.send("GET", f"/jobs/{jid}")).text
    assert "Waits because" in waiting
    assert f"/jobs/{jid}/kill" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    slot = await api.slot()
    report = report_of((await api.work(slot)).leases[0], State.ERROR)
    await api.work(slot, reports=[report], lease=False)

    page = (await browser.send("GET", f"/jobs/{jid}")).text

    assert '<span class="status error">error</span>' in page
    assert "hx-trigger" not in page
    assert f"/jobs/{jid}/kill" not in page
    file = await browser.send("GET", f"/jobs/{jid}/files/pilog.txt")
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert "attachment" in file.headers["content-disposition"]
    assert "created: job 1 of 1" in file.text


def test_a_server_loads_no_templates_before_a_page_is_opened() -> None:
    """Before the first page is opened, neither their modules nor those of jinja2 are loaded."""
    import subprocess

    code = "import sys, picloud_api.app, picloud_api.server.gunicorn_server; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "jinja2" not in loaded
    assert not [name for name in loaded if name.startswith("picloud_api.web")]
