"""The pages of jobs: charts, profiles, dependencies, and lists that are filtered."""

from __future__ import annotations

import hashlib
import html
import pickle
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.web.pages.jobs.job import SHOWN_CHARACTERS
from picloud_model import pack, wire
from picloud_model.info import MOST_CHARACTERS

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.job_info import profiled, report_with_infos
from tests.unit.api.key_owner import owner_of_second_account
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

HOSTILE = "<script>alert(1)</script>"


def content(info: wire.Info) -> wire.Content:
    """An info as a slot reports it."""
    data = wire.pack_info(info)
    return wire.Content("", len(data), data)


async def ended_job(api: ApiHarness, info: wire.Info) -> int:
    """Return a job that has ended with an info."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    await api.work(slot, reports=[report_with_infos(lease, {0: content(info)})], lease=False)
    return jid


async def test_what_a_job_used_over_time_is_drawn(api: ApiHarness) -> None:
    """The numbers are in the page for its script, as a table, and as a file."""
    samples = [wire.Sample(float(at), 50.0, at * 1_000_000) for at in range(1, 4)]
    info = wire.Info(
        samples=samples, memory_failures=3, disk_bytes=5_000, network_bytes=(7_000, 900),
        syslog=f"kernel: {HOSTILE}\n",
    )  # fmt: skip
    jid = await ended_job(api, info)
    browser = await WebPages(api).open()

    page = (await browser.send("GET", f"/jobs/{jid}")).text
    file = await browser.send("GET", f"/jobs/{jid}/files/samples.csv")

    columns = re.search(r'data-columns="([^"]*)"', page)
    assert columns
    assert msgspec.json.decode(html.unescape(columns[1]))[1:] == [[50.0] * 3, [1.0, 2.0, 3.0]]
    assert 'aria-label="Processor and memory over time: 3 samples in 3.000 s' in page
    assert '<td class="number">3.0 MB</td>' in page
    assert file.text.splitlines()[1:] == [
        "1.0,50.0,1000000",
        "2.0,50.0,2000000",
        "3.0,50.0,3000000",
    ]
    for shown in ("3 times", "5.0 kB", "7.0 kB received, 900 B sent", "kernel: &lt;script&gt;"):
        assert shown in page
    assert HOSTILE not in page


async def test_a_huge_output_is_shown_by_its_end(api: ApiHarness) -> None:
    """Of 20,000 lines the page has the last ones; the file has all that is kept."""
    text = "".join(f"line {number:06}\n" for number in range(20_000))
    jid = await ended_job(api, wire.Info(streams={"stdout": wire.Stream(0, text.encode())}))
    browser = await WebPages(api).open()

    page = (await browser.send("GET", f"/jobs/{jid}")).text
    file = await browser.send("GET", f"/jobs/{jid}/files/stdout.txt")

    assert ("line 019999" in page, "line 000000" in page) == (True, False)
    assert "This is the end of it." in page
    assert len(page) < 2 * SHOWN_CHARACTERS
    assert file.text == text[-MOST_CHARACTERS:]
    assert file.headers["content-disposition"].startswith("attachment")


async def test_a_profile_is_a_table_and_a_flame_graph(api: ApiHarness) -> None:
    """Sorted as the visitor chose; names are text; a job without a profile has no such page."""
    calls = [
        profiled("", f"a.py:1({HOSTILE})", 1, 0.5, 2.0),
        profiled(f"a.py:1({HOSTILE})", "/x/b.py:7(inner)", 3, 1.5, 1.5),
    ]
    jid = await ended_job(api, wire.Info(profile="text", calls=calls))
    without = await ended_job(api, wire.Info())
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)

    page = (await browser.send("GET", f"/jobs/{jid}/profile")).text
    by_own = (await browser.send("GET", f"/jobs/{jid}/profile?sort=own")).text
    wrong = await browser.send("GET", f"/jobs/{jid}/profile?sort=x&focus=y")
    focused = (await browser.send("GET", f"/jobs/{jid}/profile?focus=/x/b.py:7(inner)")).text

    rows = [re.findall(r'title="([^"]*)">', each)[-2:] for each in (page, by_own)]
    assert rows[0][1] == rows[1][0] == "/x/b.py:7(inner)"
    assert [each.count("<rect") for each in (page, focused)] == [2, 1]
    assert HOSTILE not in page
    assert f'href="/jobs/{jid}/profile"' in (await browser.send("GET", f"/jobs/{jid}")).text
    assert wrong.status == 200
    assert (await browser.send("GET", f"/jobs/{without}/profile")).status == 404
    assert (await other.send("GET", f"/jobs/{jid}/profile")).status == 404


async def test_the_jobs_that_a_job_waited_for_are_drawn(api: ApiHarness) -> None:
    """Also after they have ended, and those that these waited for; deleted ones are left out."""
    await api.submit(1, function="other")
    first = await api.submit(3, function="load")
    second = await api.send(_after(api, first, "clean"))
    third = await api.send(_after(api, range(first[1], second[-1] + 1), "train"))
    slot = await api.slot()
    browser = await WebPages(api).open()
    waiting = (await browser.send("GET", f"/jobs/{third[0]}")).text
    while leases := (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(second[0], third[0])])

    page = (await browser.send("GET", f"/jobs/{third[0]}/dependencies")).text
    alone = (await browser.send("GET", f"/jobs/{first[0]}/dependencies")).text
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(second[0], second[0])])
    left = (await browser.send("GET", f"/jobs/{third[0]}/dependencies")).text

    assert f"Waited for</dt><dd>{first[1]}-{second[0]}" in waiting
    assert (page.count("<rect"), page.count('class="arrow"')) == (4, 3)
    assert f"jobs {first[0]}-{first[-1]}, 3 done" in page
    assert f"<td>{first[1]}-{first[-1]}, {second[0]}</td>" in page
    assert f"jobs {first[1]}-{first[-1]}, 2 done" in page
    assert "It waited for no other job." in alone
    assert (left.count("<rect"), left.count('class="arrow"')) == (2, 1)
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    assert (await other.send("GET", f"/jobs/{third[0]}/dependencies")).status == 404


def _after(api: ApiHarness, jids: range, function: str) -> wire.SubmitRequest:
    request = api.request(1, function=function)
    return msgspec.structs.replace(request, depends_on=[(jids[0], jids[-1])])


async def test_the_dashboard_is_searched(api: ApiHarness) -> None:
    """By a part of a function's name or of a label, in any case; and by what made a job."""
    for function, label in (("module.Train", None), ("load", "nightly TRAINING"), ("load", "x")):
        await api.submit(1, function=function, label=label)
    request = api.request(1, function="child")
    await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"x" * 16, parent=2)
    browser = await WebPages(api).open()

    async def rows(query: str) -> list[str]:
        page = (await browser.send("GET", f"/jobs?{query}")).text
        return re.findall(r'<tr id="b(\d+)">', page)

    assert await rows("text=train") == ["2", "1"]
    assert await rows("text=train&function=load") == ["2"]
    assert await rows("parent=2") == ["4"]
    assert await rows("parent=cron%20x") == []
    assert await rows("env=none") == []
    page = (await browser.send("GET", "/jobs?text=%22%3Cb%3E")).text
    assert 'value="&#34;&lt;b&gt;"' in page
    child = (await browser.send("GET", "/jobs/4")).text
    assert '<a href="/jobs/2">job 2</a>' in child
    assert '<a href="/jobs?parent=2">' in (await browser.send("GET", "/jobs/2")).text


async def test_a_queue_has_a_page(api: ApiHarness) -> None:
    """Its rates are numbers for a script; those of others are not found."""
    await api.use_cases.queues.queues.create(ACCOUNT, "numbers")
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)

    page = (await browser.send("GET", "/queues/numbers")).text
    live = (await browser.send("GET", "/queues/numbers", HX_Request="true")).text

    assert page.count("data-columns=") == live.count("data-columns=") == 1
    assert "<html" not in live
    assert (await browser.send("GET", "/queues/none")).status == 404
    assert (await other.send("GET", "/queues/numbers")).status == 404


async def test_all_jobs_of_a_list_are_killed_and_deleted(api: ApiHarness) -> None:
    """Those of its filter, on all of its pages; of those that have not ended none is deleted."""
    for _ in range(60):
        await api.submit(2, label="a")
    others = await api.submit(2, label="b")
    browser = await WebPages(api).open()
    form = f"all=yes&back=label%3Da&form_token={await browser.token()}"

    early = await browser.send("POST", "/jobs/delete", form)
    killed = await browser.send("POST", "/jobs/kill", form)
    statuses = await api.statuses(range(1, others[-1] + 1))
    await browser.send("POST", "/jobs/delete", form)
    left = (await browser.send("GET", "/jobs")).text
    narrow = await browser.send("POST", "/jobs/kill", form.replace("label%3Da", "status%3Dqueued"))

    assert (early.status, killed.status, killed.headers["location"]) == (303, 303, "/jobs?label=a")
    assert statuses == ["killed"] * 120 + ["queued"] * 2
    assert re.findall(r'<tr id="b(\d+)">', left) == [str(others[0])]
    assert narrow.status == 422


@pytest.mark.parametrize("size", [100, 300_000])
async def test_a_job_is_cloned_with_other_options(api: ApiHarness, size: int) -> None:
    """Its function and its arguments are the same, however large; a form sent twice is one job."""
    parcel = pack.seal(b"x" * size)
    data = pack.write([parcel])
    content = wire.Content("", len(data), data)
    if size > pack.INLINE_BYTES:
        digest = hashlib.sha256(data).hexdigest()
        await api.use_cases.storage.blobs.put(ACCOUNT, digest, data)
        content = wire.Content(digest, len(data))
    request = api.request(1, function="f", label="<b>", priority=7)
    request = msgspec.structs.replace(request, parts=[wire.PackPart(0, 1, content)])
    (jid,) = await api.send(request)
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    page = await browser.send("GET", f"/jobs/{jid}/clone")
    submit = re.search(r'name="submit_id" value="(\w+)"', page.text)
    assert submit
    form = f"submit_id={submit[1]}&form_token={page.token}&core_type=c2&priority=3"

    replies = [
        await browser.send("POST", f"/jobs/{jid}/clone", f"{form}&cores=2&label=&profile=yes")
        for _ in range(2)
    ]
    wrong = await browser.send("POST", f"/jobs/{jid}/clone", f"{form}&cores=99")
    unsigned = await browser.send("POST", f"/jobs/{jid}/clone", form.partition("&")[0])

    assert [each.headers["location"] for each in replies] == ["/jobs/2", "/jobs/2"]
    keys = ["attributes", "args", "func_body"]
    asked = wire.InfoRequest(jids=[(1, 2)], keys=keys)
    first, second = (await api.use_cases.jobs.info.info(ACCOUNT, asked)).jobs
    changed = {"core_type": "c2", "cores": 2, "label": None, "priority": 3, "profile": True}
    assert second.values["attributes"] == {**first.values["attributes"], **changed, "kind": "call"}
    assert second.function == first.function
    assert 'value="&lt;b&gt;"' in page.text
    assert [wrong.status, unsigned.status] == [422, 403]
    assert (await other.send("GET", f"/jobs/{jid}/clone")).status == 404
    assert second.arguments is not None
    stored = second.arguments.pack
    assert (second.arguments.parcel == parcel) == (stored is None)
    assert stored is None or stored == content


PAGES_OF_A_JOB = ["", "/profile", "/dependencies", "/clone", "/result.json"]
PAGES_OF_A_JOB += ["/files/stdout.txt", "/files/pilog.txt", "/files/samples.csv"]


async def test_the_jobs_of_another_account_have_no_pages(api: ApiHarness) -> None:
    """Neither to look at nor to act on: they are as missing as jobs that never were."""
    (jid,) = await api.submit(1)
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    token = f"form_token={await other.token()}"

    read = [await other.send("GET", f"/jobs/{jid}{each}") for each in PAGES_OF_A_JOB]
    read.append(await other.send("GET", f"/maps/{jid}"))
    done = [
        await other.send("POST", f"/jobs/{jid}/{verb}", token)
        for verb in ("kill", "delete", "clone")
    ]
    chosen = await other.send("POST", "/jobs/kill", f"jids={jid}&{token}")
    await other.send("POST", "/jobs/kill", f"all=yes&{token}")

    assert {each.status for each in [*read, *done, chosen]} == {404}
    assert await api.statuses(range(jid, jid + 1)) == ["queued"]


async def done_job(api: ApiHarness, result: object) -> int:
    """Return a job that has returned a value."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    report = report_of((await api.work(slot)).leases[0])
    payload = pack.seal(pickle.dumps(result))
    ended = [msgspec.structs.replace(each, payload=payload) for each in report.ended]
    await api.work(slot, reports=[msgspec.structs.replace(report, ended=ended)], lease=False)
    return jid


async def test_a_result_that_is_an_image_is_shown(api: ApiHarness) -> None:
    """With the type of its bytes; markup in bytes is never sent as such."""
    gif = b"GIF89a" + bytes(20)
    image, markup = await done_job(api, gif), await done_job(api, b"<svg onload='alert(1)'/>")
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)

    page = (await browser.send("GET", f"/jobs/{image}")).text
    shown = await browser.send("GET", f"/jobs/{image}/image")
    wrong = await browser.send("GET", f"/jobs/{markup}/image")

    assert f'<img class="preview" src="/jobs/{image}/image"' in page
    assert "<img" not in (await browser.send("GET", f"/jobs/{markup}")).text
    assert (shown.status, shown.headers["content-type"]) == (200, "image/gif")
    assert shown.text.encode().startswith(b"GIF89a")
    assert wrong.status == 404
    assert (await other.send("GET", f"/jobs/{image}/image")).status == 404
