"""The audit trail: decisions are recorded before they are carried out, with their senders."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
import pytest
from picloud_api.resources.audit_trail import AUDITED, NAMING
from picloud_api.resources.least_role import READS
from picloud_api.resources.openapi import SERVED
from picloud_model import wire
from picloud_model.errors import Unavailable
from picloud_model.token import JobToken
from picloud_model.wire.audit import AuditEntry, AuditListed, AuditRequest
from picloud_model.wire.secret import SetSecretRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import administrator_of, key_request
from tests.unit.api.members import PASSWORD, invited, join
from tests.unit.api.recording_state import SharedRecordingState
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi
    from tests.unit.api.http_api import HttpApi


async def entries(api: ApiHarness) -> list[AuditEntry]:
    """Return all entries, the oldest first."""
    listed = await api.use_cases.operation.audit.read(ACCOUNT, AuditRequest(limit=1000))
    return listed.entries[::-1]


def test_recorded_operations_exist_and_change_something() -> None:
    """A name that is misspelt would be recorded never; what only reads is not recorded."""
    served = {route.address for route in SERVED}

    assert AUDITED - served == set()
    assert {f"POST {address}" for address in AUDITED} & READS <= {"POST /v1/sign-ins"}


def test_no_field_of_a_secret_value_is_recorded() -> None:
    """Passwords, values of variables and files, and the ids by which keys are derived."""
    secrets = {"password", "old", "new", "variables", "files", "request_id", "hash", "public_key"}
    fields = set(SetSecretRequest.__struct_fields__) | set(wire.KeyRequest.__struct_fields__)

    assert not secrets & set(NAMING)
    assert fields & set(NAMING) == {"name", "role"}


async def test_the_key_and_the_address_are_recorded(api: ApiHarness, http: HttpApi) -> None:
    """A request that is refused has a second entry, with the code of the error."""
    owner = await administrator_of(api)
    made = await http.post("/v1/keys", key_request(), wire.KeyMade)
    own, spare = wire.KeyIdRequest(id=owner.key_id), made.key.split("_")[1]
    await http.post("/v1/keys/deactivate", wire.KeyIdRequest(id=spare), wire.ListedKey)
    await http.refusal("/v1/keys/deactivate", own)
    await http.send("POST", "/v1/jobs/list", wire.encode(wire.ListRequest()))

    found = await entries(api)

    assert [(each.operation, each.details, each.refused) for each in found] == [
        ("keys", "role=owner", ""),
        ("keys/deactivate", f"id={spare}", ""),
        ("keys/deactivate", f"id={owner.key_id}", ""),
        ("keys/deactivate", f"id={owner.key_id}", "request.conflict"),
    ]
    assert {(each.who, each.address) for each in found} == {(f"key {owner.key_id}", "127.0.0.1")}
    listed = await http.post("/v1/audit", AuditRequest(limit=1), AuditListed)
    assert listed.entries == found[-1:]


async def test_a_job_is_recorded_as_such(api: ApiHarness, http: HttpApi) -> None:
    """What it kills and deletes, by its jid."""
    await api.submit(1)
    slot = await api.slot()
    await api.work(slot)
    key = api.use_cases.accounts.job_tokens.key_for(ACCOUNT, slot.number)
    token = JobToken(ACCOUNT, slot.number, 1, 1).signed(key)

    await http.post("/v1/jobs/kill", wire.JobsRequest(jids=[(1, 1)]), wire.Killed, token)

    assert [(each.who, each.details) for each in await entries(api)] == [("job 1", "jids=1")]


async def test_nothing_is_changed_without_an_entry(
    start_api: StartApi, api: ApiHarness, http: HttpApi
) -> None:
    """If the entry cannot be stored, the request fails before anything else was done."""
    await http.post("/v1/keys", key_request(), wire.KeyMade)

    async def fail() -> None:
        raise Unavailable

    api.state.before_commit = fail
    before = len(api.state.commits)
    status, _ = await http.refusal("/v1/keys", key_request())
    api.state.before_commit = None

    assert status == 503
    assert len(await api.server.context.commits.view.scan("keys/")) == 2
    assert len(api.state.commits) > before


async def test_people_are_recorded_by_name(start_api: StartApi) -> None:
    """Signing in, accepting an invitation and forms of pages, without passwords and links."""
    api = await start_api(SharedRecordingState)
    link = await invited(api)
    browser = WebPages(api)
    fields = {"name": "ada", "password": PASSWORD}

    await browser.send("POST", f"/join/{link}", urlencode(fields))
    await browser.send("POST", "/sign-in", urlencode(fields))
    token = await browser.token()
    await browser.send("POST", "/jobs/kill", urlencode({"form_token": token, "jids": "7"}))
    await browser.send("POST", "/members/invite", urlencode({"form_token": token}))

    found = await entries(api)
    assert [(each.who, each.operation, each.details) for each in found] == [
        ("ada", "/join", ""),
        ("ada", "/sign-in", ""),
        ("ada", "/jobs/kill", "jids=7"),
        ("ada", "/jobs/kill", "jids=7"),
    ]
    assert [each.refused for each in found] == ["", "", "", "job.not_found"]
    stored = msgspec.json.encode(found).decode()
    assert PASSWORD not in stored
    assert link not in stored


@pytest.mark.parametrize("role", ["owner", "member"])
async def test_the_page_is_for_owners(start_api: StartApi, role: str) -> None:
    """Names are text, entries come a page at a time, and no exported cell is a formula."""
    api = await start_api(SharedRecordingState)
    browser = WebPages(api)
    _, browser.session = await join(api, "=<b>ada", wire.role.Role(role))
    token = await browser.token()
    for _ in range(101):
        await browser.send("POST", "/jobs/kill", urlencode({"form_token": token}))

    page = await browser.send("GET", "/audit")
    older = await browser.send("GET", "/audit?before=1")
    file = await browser.send("GET", "/audit/audit.csv")

    if role == "member":
        assert (page.status, file.status) == (403, 403)
        return
    assert (page.text.count("<tr>"), "<b>ada" in page.text) == (101, False)
    assert "=&lt;b&gt;ada" in page.text
    assert '<a rel="next" href="/audit?before=' in page.text
    assert older.text.count("<tr>") == 2
    lines = file.text.splitlines()
    assert lines[0] == "time,who,key,address,operation,details,refused"
    assert len(lines) == 1 + len(await entries(api))
    assert "'=<b>ada" in lines[1]
    assert (await browser.send("GET", "/audit?before=x")).status == 422
