"""The pages of nouns besides jobs: what they show, what their forms do, and for whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest
from picloud_api.web.pages.storage.bucket import UPLOAD_BYTES
from picloud_model.wire.argument_type import ArgumentType
from picloud_model.wire.attachment import AttachRequest
from picloud_model.wire.cron import CronSchedule, RegisterCronRequest
from picloud_model.wire.grant import GrantRequest
from picloud_model.wire.queue import PushRequest, QueueMessage
from picloud_model.wire.rest import Parameter, PublishRequest
from picloud_model.wire.volume import CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.budgets import HOUR, OWNER, put, run
from tests.unit.api.key_owner import owner_of_second_account
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from picloud_model import wire

    from tests.unit.api.api_harness import ApiHarness

PATHS = ["/queues", "/bucket", "/volumes", "/environments", "/crons", "/endpoints", "/realtime"]
PATHS += ["/keys", "/usage"]
PATHS += ["/notebooks", "/members", "/audit"]
BOUNDARY = "-----------------------------8721"


@pytest.mark.parametrize("path", PATHS)
async def test_an_empty_account_has_all_pages(api: ApiHarness, path: str) -> None:
    """Each page is in the navigation, says where the visitor is, and is closed to strangers."""
    page = await (await WebPages(api).open()).send("GET", path)

    assert page.status == 200
    assert f'<a href="{path}" aria-current="page">' in page.text
    assert (await WebPages(api).send("GET", path)).status == 401


@pytest.mark.parametrize("path", ["/crons", "/realtime", "/keys", "/queues/q", "/notebooks"])
async def test_addresses_of_forms_have_no_pages(api: ApiHarness, path: str) -> None:
    """What is opened or sent at the wrong address is refused, and no fault of the server."""
    browser = await WebPages(api).open()

    assert (await browser.send("GET", f"{path}/remove")).status == 405
    assert (await browser.send("POST", path.removesuffix("/q"))).status == 405


async def test_budgets_are_shown_with_usage(api: ApiHarness) -> None:
    """With what is left; a label is text, whatever it holds."""
    await put(api, 5, period="day", label="<b>train</b>")
    await put(api, 0, action="warn")

    page = await (await WebPages(api).open()).send("GET", "/usage")

    assert "<td>&lt;b&gt;train&lt;/b&gt;</td><td>a day</td>" in page.text
    assert '<td class="number">$0.00 (reached)</td>' in page.text


async def test_an_owner_sets_and_removes_budgets(api: ApiHarness) -> None:
    """By forms: zero is a budget, text is not; one without a label is for all jobs."""
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"
    path, labelled = "/usage/budgets", "period=day&label=%3Cb%3Etrain&dollars=0"

    replies = [
        await browser.send("POST", f"{path}/{verb}", f"{form}&{token}")
        for verb, form in (
            ("set", "period=month&label=&dollars=2.5&action=refuse"),
            ("set", f"{labelled}&action=kill"),
            ("set", "period=month&label=&dollars=much&action=refuse"),
            ("set", "period=year&label=&dollars=1&action=refuse"),
            ("set", "period=month&label=&dollars=-1&action=refuse"),
            ("set", "period=month&label=&dollars=1&action=explode"),
            ("remove", "period=total&label="),
            ("explode", "period=month"),
        )
    ]
    page = (await browser.send("GET", "/usage")).text
    listed = await api.use_cases.accounts.budgets.of(ACCOUNT)
    unsigned = await browser.send("POST", f"{path}/remove", "period=month&label=")
    removed = await browser.send("POST", f"{path}/remove", f"period=month&label=&{token}")

    assert [each.status for each in replies] == [303, 303, 422, 422, 422, 422, 404, 404]
    assert [(each.label, each.dollars, each.action) for each in listed] == [
        (None, 2.5, "refuse"),
        ("<b>train", 0.0, "kill"),
    ]
    assert ("&lt;b&gt;train" in page, "<b>train" in page) == (True, False)
    assert (unsigned.status, removed.status) == (403, 303)
    assert len(await api.use_cases.accounts.budgets.of(ACCOUNT)) == 1


async def test_statements_are_shown_with_usage(api: ApiHarness) -> None:
    """What is used, free, granted and to be paid, and what is left of grants."""
    request = GrantRequest(
        request_id=uuid4().hex, account=ACCOUNT, until="1970-12-31", dollars=0.15, note="<b>art</b>"
    )
    await api.use_cases.accounts.grants.grant(OWNER, request)
    await run(api, 25 * HOUR)

    page = await (await WebPages(api).open()).send("GET", "/usage")

    cells = re.search("<tr><td>1970-01</td>(.*)</tr>", page.text)
    assert cells
    assert re.findall(r"\$[0-9.]+", cells[1]) == ["$1.00", "$0.80", "$0.15", "$0.05"]
    assert "<td>&lt;b&gt;art&lt;/b&gt;</td><td>1970-01-01</td><td>1970-12-31</td>" in page.text


def _call(api: ApiHarness, function: str) -> wire.SubmitRequest:
    return msgspec.structs.replace(api.request(1, function=function), kind="call")


async def _pipeline(api: ApiHarness) -> None:
    queues = api.use_cases.queues
    for name in ("in", "out", "bad"):
        await queues.queues.create(ACCOUNT, name)
    request = AttachRequest(
        queue="in", job=_call(api, "module.handle"), outputs=["out"], errors=["bad"]
    )
    await queues.attachments.attach(ACCOUNT, request)
    message = QueueMessage(json="1")
    await queues.queues.push(
        ACCOUNT, PushRequest(name="out", push_id=uuid4().hex, messages=[message, message])
    )


async def test_queues_are_drawn_and_counted(api: ApiHarness) -> None:
    """Rectangles are queues, circles are handlers; the table says how many messages wait."""
    await _pipeline(api)

    page = (await (await WebPages(api).open()).send("GET", "/queues")).text

    assert (page.count("<rect"), page.count("<circle"), page.count('class="arrow')) == (3, 1, 3)
    row = r'id="q-out">\s*<td><a href="/queues/out">out</a></td>\s*<td class="number">2</td>'
    assert re.search(row, page)
    assert "module.handle" in page


async def test_the_last_hour_of_a_queue_is_drawn(api: ApiHarness) -> None:
    """The drawing says in words what it shows; a queue without messages has none."""
    await _pipeline(api)
    api.now += 60

    page = (await (await WebPages(api).open()).send("GET", "/queues")).text

    assert page.count('class="chart"') == 1
    assert 'aria-label="out, last hour: 2 in, 0 out, 0 failed; last minute: ' in page
    assert len(re.findall(r"<td>\d{4}-[^<]+</td>", page)) == 1


async def test_handlers_are_paused_and_limited(api: ApiHarness) -> None:
    """What a form does is there afterwards; a limit that cannot be is explained."""
    await _pipeline(api)
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"

    await browser.send("POST", "/queues/in/pause", token)
    limits = "max_parallel_jobs=7&max_per_second=2.5&max_in_flight=9"
    await browser.send("POST", "/queues/in/limit", f"{limits}&{token}")
    changed = await api.use_cases.queues.attachments.info(ACCOUNT, "in")
    page = (await browser.send("GET", "/queues")).text
    wrong = await browser.send("POST", "/queues/in/limit", f"max_parallel_jobs=x&{token}")
    unknown = await browser.send("POST", "/queues/in/explode", token)
    await browser.send("POST", "/queues/out/purge", token)
    await browser.send("POST", "/queues/in/resume", token)

    assert (changed.paused, changed.max_parallel_jobs) == (True, 7)
    assert (changed.max_per_second, changed.max_in_flight) == (2.5, 9)
    assert re.findall(r'name="max_\w+".* value="([^"]*)"', page) == ["7", "2.5", "9"]
    assert (wrong.status, "max_parallel_jobs" in wrong.text) == (422, True)
    assert unknown.status == 404
    assert (await api.use_cases.queues.queues.info(ACCOUNT, "out")).ready == 0
    assert not (await api.use_cases.queues.attachments.info(ACCOUNT, "in")).paused


async def test_a_limit_that_is_left_empty_is_none(api: ApiHarness) -> None:
    """The number of parallel jobs alone has to be there."""
    await _pipeline(api)
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"
    for limits in ("max_per_second=5&max_in_flight=5", "max_per_second=&max_in_flight="):
        reply = await browser.send(
            "POST", "/queues/in/limit", f"max_parallel_jobs=2&{limits}&{token}"
        )
        assert reply.headers["location"] == "/queues"

    changed = await api.use_cases.queues.attachments.info(ACCOUNT, "in")
    refused = await browser.send("POST", "/queues/in/limit", f"max_parallel_jobs=&{token}")

    assert (changed.max_per_second, changed.max_in_flight) == (0, 0)
    assert refused.status == 422


async def test_a_queue_is_drained(api: ApiHarness) -> None:
    """Its handler goes on if it was paused, and the page says how many messages are left."""
    await _pipeline(api)
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"
    push = PushRequest(name="in", push_id=uuid4().hex, messages=[QueueMessage(json="1")])
    await api.use_cases.queues.queues.push(ACCOUNT, push)
    await browser.send("POST", "/queues/in/pause", token)

    sent = await browser.send("POST", "/queues/in/drain", token)
    draining = (await browser.send("GET", sent.headers["location"])).text
    await api.use_cases.queues.queues.purge(ACCOUNT, "in")
    drained = (await browser.send("GET", sent.headers["location"])).text

    assert not (await api.use_cases.queues.attachments.info(ACCOUNT, "in")).paused
    assert "Draining in: 1 message left." in draining
    assert "in is drained: it has no messages." in drained
    assert (await browser.send("GET", "/queues?drain=%3Ci%3E")).status == 200


async def test_a_cron_job_runs_once_for_each_form(api: ApiHarness) -> None:
    """A form that is sent twice starts one job; removing a cron job removes its row."""
    request = RegisterCronRequest(
        label="nightly", schedule=CronSchedule(schedule="@daily"), job=_call(api, "report")
    )
    await api.use_cases.crons.crons.register(ACCOUNT, request)
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/crons")
    submit = re.search(r'name="submit_id" value="(\w+)"', page.text)
    assert submit
    form = f"label=nightly&submit_id={submit[1]}&form_token={page.token}"

    replies = [await browser.send("POST", "/crons/run", form) for _ in range(2)]
    assert len({reply.headers["location"] for reply in replies}) == 1
    assert (await browser.send("GET", replies[0].headers["location"])).status == 200
    await browser.send("POST", "/crons/remove", form)

    assert "There are no cron jobs." in (await browser.send("GET", "/crons")).text
    assert (await browser.send("POST", "/crons/run", form)).status == 404


async def test_cores_are_reserved_and_released(api: ApiHarness) -> None:
    """A form that is sent twice reserves them once; without hours they stay until their release."""
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/realtime")
    request = re.search(r'name="request_id" value="(\w+)"', page.text)
    assert request
    token = f"form_token={page.token}"
    form = f"request_id={request[1]}&core_type=c1&cores=2&job_cores=1&hours=&env=&python=3.11"
    for _ in range(2):
        assert (await browser.send("POST", "/realtime/request", f"{form}&{token}")).status == 303
    cores = api.use_cases.slots.realtime

    (reserved,) = await cores.list(ACCOUNT)
    named = f"reservation={reserved.id}&{token}"
    await browser.send("POST", "/realtime/change", f"hours=1.5&{named}")
    shown = (await browser.send("GET", "/realtime")).text
    wrong = await browser.send("POST", "/realtime/change", f"hours=-1&{named}")
    unsigned = await browser.send("POST", "/realtime/release", f"reservation={reserved.id}")
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    foreign = await other.send(
        "POST",
        "/realtime/release",
        f"reservation={reserved.id}&form_token={await other.token()}",
    )
    (kept,) = await cores.list(ACCOUNT)
    await browser.send("POST", "/realtime/release", named)

    assert (reserved.cores, reserved.hours, kept.hours) == (2, None, 1.5)
    assert "1.5 h after the start" in shown
    assert [wrong.status, unsigned.status, foreign.status] == [422, 403, 404]
    assert "No cores are reserved." in (await browser.send("GET", "/realtime")).text


async def test_cores_that_cannot_be_reserved_are_refused(api: ApiHarness) -> None:
    """With the sentence of the server; what a visitor wrote is text in it."""
    browser = await WebPages(api).open()
    token = await browser.token()
    form = f"request_id={uuid4().hex}&job_cores=1&python=3.11&form_token={token}"

    unknown = await browser.send("POST", "/realtime/request", f"{form}&core_type=%3Cb%3E&cores=1")
    none = await browser.send("POST", "/realtime/request", f"{form}&core_type=c1&cores=0")

    assert [unknown.status, none.status] == [422, 422]
    assert "&lt;b&gt;" in unknown.text
    assert await api.use_cases.slots.realtime.list(ACCOUNT) == []


async def _publish(api: ApiHarness, *parameters: Parameter, takes_any: bool = False) -> None:
    await api.use_cases.rest.endpoints.publish(
        ACCOUNT,
        PublishRequest(
            label="area", job=_call(api, "area"), parameters=[*parameters], takes_any=takes_any
        ),
    )


async def test_a_published_function_is_called_by_a_form(api: ApiHarness) -> None:
    """A form that is sent twice is one job; what does not fit is shown again, and why."""
    x = Parameter(name="x", kind="int")
    flag = Parameter(name="form_token", kind="bool", required=False)
    await _publish(api, x, flag, Parameter(name="y", kind="list", required=False))
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/endpoints/area")
    submit = re.search(r'name="submit_id" value="(\w+)"', page.text)
    assert submit
    form = f"submit_id={submit[1]}&form_token={page.token}"

    wrong = await browser.send("POST", "/endpoints/area", f"{form}&argument-x=%3Cb%3E")
    right = f"{form}&argument-x=5&argument-form_token=true&argument-y=[1]"
    replies = [await browser.send("POST", "/endpoints/area", right) for _ in range(2)]

    assert wrong.status == 400
    assert "The argument &#39;x&#39; must be a whole number." in wrong.text
    assert 'name="argument-x" value="&lt;b&gt;"' in wrong.text
    assert len({reply.headers["location"] for reply in replies}) == 1
    assert (await browser.send("GET", replies[0].headers["location"])).status == 200
    assert 'href="/endpoints/area"' in (await browser.send("GET", "/endpoints")).text


async def test_types_have_fields_of_their_own(api: ApiHarness) -> None:
    """Choices are a list to select from, objects are JSON, and dates are text."""
    choice = ArgumentType(kind="literal", values=["a", 1])
    numbers = ArgumentType(kind="list", items=[ArgumentType(kind="int")])
    await _publish(
        api,
        Parameter(name="choice", kind="typed", type=choice, nullable=True),
        Parameter(name="numbers", kind="typed", type=numbers),
        Parameter(name="day", kind="typed", type=ArgumentType(kind="date")),
    )
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/endpoints/area")
    form = f"submit_id={uuid4().hex}&form_token={page.token}&argument-choice=1"

    wrong = f"{form}&argument-numbers=[1,true]&argument-day=2026-11-30"
    refused = await browser.send("POST", "/endpoints/area", wrong)
    called = await browser.send("POST", "/endpoints/area", wrong.replace("true", "2"))

    assert "<option>null</option>" in page.text
    assert 'placeholder="a list as JSON"' in page.text
    assert 'placeholder="a date as &#39;2026-11-30&#39;"' in page.text
    assert "The argument &#39;numbers[1]&#39; must be a whole number." in refused.text
    assert called.status == 303


async def test_further_arguments_are_json(api: ApiHarness) -> None:
    """A function that takes any arguments has a field for them; others have none."""
    await _publish(api, takes_any=True)
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/endpoints/area")
    form = f"submit_id={uuid4().hex}&form_token={page.token}"

    refused = await browser.send("POST", "/endpoints/area", f"{form}&more=[1]")
    called = await browser.send("POST", "/endpoints/area", f'{form}&more={{"a": 1}}')
    await _publish(api)

    assert (refused.status, "must be an object of JSON" in refused.text) == (400, True)
    assert called.status == 303
    assert 'name="more"' in page.text
    assert 'name="more"' not in (await browser.send("GET", "/endpoints/area")).text


async def test_an_endpoint_is_rolled_back_and_removed(api: ApiHarness) -> None:
    """Those of other accounts are not found."""
    for _ in range(2):
        await _publish(api)
    browser = await WebPages(api).open()
    token = f"form_token={await browser.token()}"
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)

    assert (await other.send("GET", "/endpoints/area")).status == 404
    await browser.send("POST", "/endpoints/area/rollback", f"version=1&{token}")
    assert (await api.use_cases.rest.endpoints.info(ACCOUNT, "area")).version == 1
    wrong = await browser.send("POST", "/endpoints/area/rollback", f"version=9&{token}")
    unknown = await browser.send("POST", "/endpoints/area/explode", token)
    described = await browser.send("GET", "/endpoints/area/openapi")
    unsigned = await browser.send("POST", "/endpoints/area/remove", "")
    await browser.send("POST", "/endpoints/area/remove", token)

    assert [wrong.status, unknown.status, unsigned.status] == [404, 404, 403]
    assert f"/r/{ACCOUNT}/area" in msgspec.json.decode(described.text)["paths"]
    assert (await browser.send("GET", "/endpoints/area/explode")).status == 404
    assert "There are no published functions." in (await browser.send("GET", "/endpoints")).text
    assert (await browser.send("POST", "/endpoints/area/remove", token)).status == 404


async def test_a_volume_is_shown_and_deleted(api: ApiHarness) -> None:
    """What its owner wrote about it is text."""
    request = CreateVolumeRequest(name="data", mount_path="/home/data", desc="<i>mine</i>")
    await api.use_cases.storage.volumes.create(ACCOUNT, request)
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/volumes")

    assert "&lt;i&gt;mine&lt;/i&gt;" in page.text
    await browser.send("POST", "/volumes/delete", f"name=data&form_token={page.token}")

    assert "There are no volumes." in (await browser.send("GET", "/volumes")).text


async def test_a_key_is_shown_once(api: ApiHarness) -> None:
    """A new key is in one reply only; sessions that it began end with it."""
    browser = await WebPages(api).open()
    page = await browser.send("GET", "/keys")
    request_id = re.search(r'name="request_id" value="(\w+)"', page.text)
    assert request_id
    form = f"request_id={request_id[1]}&form_token={page.token}"

    made = (await browser.send("POST", "/keys/create", form)).text
    key = re.search(r"pk_([0-9a-f]{12})_[\w-]+", made)
    assert key
    holder = await api.use_cases.accounts.accounts.holder(key[0])
    with_it = await WebPages(api).open(holder)
    assert key[0] not in (await browser.send("GET", "/keys")).text
    await browser.send("POST", "/keys/deactivate", f"id={key[1]}&form_token={page.token}")

    assert (await with_it.send("GET", "/keys")).status == 401


def _upload(*parts: tuple[str, str, str]) -> str:
    """Return a multipart form of fields, each with further parameters and its value."""
    texts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
        for name, more, value in parts
    ]
    return "".join(texts) + f"--{BOUNDARY}--\r\n"


async def test_a_file_is_stored_and_downloaded(api: ApiHarness) -> None:
    """It is below the folder that the page showed, and comes back as a file of no type."""
    browser = await WebPages(api).open()
    token = ("form_token", "", await browser.token())
    content = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    file = ("file", '; filename="C:\\x\\page.html"', "<script>alert(1)</script>\r\n")
    body = _upload(token, ("prefix", "", "a b/"), file)

    stored = await browser.send("POST", "/bucket/upload", body, **content)
    assert (stored.status, stored.headers["location"]) == (303, "/bucket?prefix=a%20b%2F")
    page = await browser.send("GET", "/bucket?prefix=a%20b/")
    assert 'href="/bucket/object?key=a%20b/page.html"' in page.text
    assert 'href="/bucket?prefix=a%20b/"' in (await browser.send("GET", "/bucket")).text
    got = await browser.send("GET", "/bucket/object?key=a%20b/page.html")
    assert got.text == "<script>alert(1)</script>\r\n"
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["content-disposition"].startswith("attachment")
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    assert (await other.send("GET", "/bucket/object?key=a%20b/page.html")).status == 404
    remove = f"keys=a%20b/page.html&prefix=&form_token={page.token}"
    assert (await browser.send("POST", "/bucket/remove", remove)).status == 303
    assert "There is nothing here." in (await browser.send("GET", "/bucket")).text


async def test_uploads_that_break_store_nothing(api: ApiHarness) -> None:
    """A form without its token, without a file, cut off or too long is refused with a sentence."""
    browser = await WebPages(api).open()
    token = ("form_token", "", await browser.token())
    content = {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}
    file = ("file", '; filename="f"', "x" * 1000)
    whole = _upload(token, ("prefix", "", ""), file)
    bodies = {
        _upload(("prefix", "", ""), file): 403,
        _upload(file, token): 403,
        _upload(token): 422,
        _upload(token, ("file", '; filename=""', "")): 422,
        _upload(token, ("prefix", "", "\0/"), file): 422,
        whole[:-600]: 422,
        "nothing": 422,
    }

    for body, status in bodies.items():
        page = await browser.send("POST", "/bucket/upload", body, **content)
        assert (page.status, 'role="alert"' in page.text) == (status, True), body
    no_form = await browser.send("POST", "/bucket/upload", whole)
    long = await browser.send("POST", "/bucket/upload", "x" * (UPLOAD_BYTES + 1), **content)

    assert (no_form.status, long.status) == (422, 413)
    assert "There is nothing here." in (await browser.send("GET", "/bucket")).text
