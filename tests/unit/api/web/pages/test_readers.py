"""Pages for readers: what their role does not allow is not drawn."""

from __future__ import annotations

from hashlib import md5
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.resources.least_role import least_role
from picloud_model.wire.attachment import AttachRequest
from picloud_model.wire.bucket import PutObjectRequest
from picloud_model.wire.cron import CronSchedule, RegisterCronRequest
from picloud_model.wire.realtime import ReserveCoresRequest
from picloud_model.wire.rest import PublishRequest
from picloud_model.wire.role import Role
from picloud_model.wire.volume import CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.members import join
from tests.unit.api.recording_state import SharedRecordingState
from tests.unit.api.usecases.environments.building import build
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from picloud_model import wire

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


class Buttons(HTMLParser):
    """Collects where the buttons of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.form: dict[str, str] = {}
        self.found: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, or a button in one."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.form = values
        if tag == "button":
            verb = self.form.get("method", "get").upper()
            self.found.add((verb, values.get("formaction") or self.form.get("action", "")))


async def _fill(api: ApiHarness) -> list[str]:
    """Make one of everything; return the addresses of its pages."""

    def call(function: str) -> wire.SubmitRequest:
        return msgspec.structs.replace(api.request(1, function=function), kind="call")

    uses = api.use_cases
    (jid,) = await api.submit(1)
    first = (await api.submit(3))[0]
    await uses.queues.queues.create(ACCOUNT, "in")
    await uses.queues.attachments.attach(ACCOUNT, AttachRequest(queue="in", job=call("m.handle")))
    volume = CreateVolumeRequest(name="data", mount_path="/home/data", desc="")
    await uses.storage.volumes.create(ACCOUNT, volume)
    await uses.rest.endpoints.publish(ACCOUNT, PublishRequest(label="area", job=call("area")))
    schedule = CronSchedule(schedule="@daily")
    cron = RegisterCronRequest(label="nightly", schedule=schedule, job=call("nightly"))
    await uses.crons.crons.register(ACCOUNT, cron)
    digest = md5(b"text", usedforsecurity=False).hexdigest()
    stored = PutObjectRequest(key="folder/a.txt", size=4, md5=digest, data=b"text")
    await uses.storage.buckets.put(ACCOUNT, stored)
    await build(api, "science", a="1")
    await build(api, "science", a="2")
    cores = ReserveCoresRequest(request_id="ab" * 16, core_type="c1", cores=1, python="3.11")
    await uses.slots.realtime.reserve(ACCOUNT, cores)
    names = ("jobs", "queues", "bucket", "bucket?prefix=folder/", "volumes", "environments")
    others = ("crons", "endpoints", "realtime", "keys", "members", "usage")
    own = (f"jobs/{jid}", f"jobs/{jid}/clone", f"maps/{first}", "queues/in", "endpoints/area")
    more = ("environments/science", "bucket/preview?key=folder/a.txt", "audit")
    return [f"/{each}" for each in (*names, *others, *own, *more)]


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server that several people use."""
    return await start_api(SharedRecordingState)


async def test_readers_see_no_button_that_is_refused(shared: ApiHarness) -> None:
    """Each button of each page leads to what a reader may do; members see those of the rest."""
    addresses = await _fill(shared)
    reader, member = WebPages(shared), WebPages(shared)
    _, reader.session = await join(shared, "ada", Role.READER)
    _, member.session = await join(shared, "bob", Role.MEMBER)
    hidden = set()
    for address in addresses:
        seen, page = await member.send("GET", address), await reader.send("GET", address)
        assert page.status == (403 if address == "/audit" else 200), (address, page.text)
        of_member, of_reader = Buttons(), Buttons()
        of_member.feed(seen.text)
        of_reader.feed(page.text)

        refused = {each for each in of_reader.found if least_role(*each) is not Role.READER}
        assert refused == set(), address
        assert "Actions</th>" not in page.text, address
        hidden |= of_member.found - of_reader.found

    assert {address.split("/")[1] for _, address in hidden} == {
        "bucket", "crons", "endpoints", "environments", "jobs", "keys", "queues", "realtime",
        "volumes",
    }  # fmt: skip
