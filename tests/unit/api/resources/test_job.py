"""`/v1/jobs`: submit, status, wait and kill, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_api.store import layout
from picloud_model import wire
from picloud_model.token import JobToken

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def test_jobs_are_submitted_shown_killed_and_awaited(api: ApiHarness, http: HttpApi) -> None:
    """Each address calls its use case for the account of the key."""
    submitted = await http.post("/v1/jobs", api.request(2), wire.Submitted)
    jids = wire.JobsRequest(jids=[(1, 2)])

    before = await http.post("/v1/jobs/status", jids, wire.Statuses)
    killed = await http.post("/v1/jobs/kill", jids, wire.Killed)
    waited = await http.post(
        "/v1/jobs/wait", wire.WaitRequest(jids=[(1, 2)], timeout_s=0.0), wire.Outcomes
    )

    assert (submitted.first, submitted.count) == (1, 2)
    assert [run.status for run in before.runs] == ["queued"]
    assert killed.count == 2
    assert [outcome.status for outcome in waited.outcomes] == ["killed", "killed"]


async def test_the_same_bytes_are_the_same_request(api: ApiHarness, http: HttpApi) -> None:
    """A submit that is sent again returns its jids; other content under its id is refused."""
    request = api.request(2)

    first, again = [await http.post("/v1/jobs", request, wire.Submitted) for _ in range(2)]
    refused = await http.refusal("/v1/jobs", replace(request, function_name="other"))

    assert first == again
    assert refused == (422, "submit.changed")


async def test_packs_are_staged_ahead_of_their_submit(api: ApiHarness, http: HttpApi) -> None:
    """The parts of a large map arrive in several requests."""
    request = api.request(3000)
    staged = wire.StageRequest(submit_id=request.submit_id, parts=request.parts[:2])

    await http.post("/v1/jobs/staged", staged, wire.Answer)
    submitted = await http.post(
        "/v1/jobs", replace(request, parts=request.parts[2:]), wire.Submitted
    )

    assert submitted.count == 3000


async def test_a_job_submits_with_its_token(api: ApiHarness, http: HttpApi) -> None:
    """The token of a running job opens the account, and the batch names the job as its parent."""
    await api.submit(1)
    slot = await api.slot()
    await api.work(slot)
    key = api.use_cases.accounts.job_tokens.key_for(ACCOUNT, slot.number)
    token = JobToken(ACCOUNT, slot.number, 1, 1).signed(key)
    request = api.request(1)

    submitted = await http.post("/v1/jobs", request, wire.Submitted, token)

    header = await api.server.context.commits.view.get(layout.header(ACCOUNT, request.submit_id))
    assert (submitted.first, header.parent) == (2, 1)


async def test_a_quota_that_is_reached_says_when_to_come_again(
    api: ApiHarness, http: HttpApi
) -> None:
    """The reply is 429 with Retry-After and a sentence that says of what there is too much."""
    quota = api.use_cases.accounts.quota
    quota.quotas = replace(quota.quotas, jobs=10)

    result = await http.send("POST", "/v1/jobs", wire.encode(api.request(11)))

    assert (result.status_code, result.headers["retry-after"]) == (429, "1")
    problem = wire.decode(result.content, wire.Problem)
    assert problem.code == "account.busy"
    assert problem.message.startswith(
        "An account may have 10 unfinished jobs at once: submit again"
    )


async def test_equal_waits_get_the_same_reply(api: ApiHarness, http: HttpApi) -> None:
    """Requests that wait for the same jobs at the same time get all outcomes, in their formats."""
    await api.submit(3)
    body = wire.WaitRequest(jids=[(1, 3)], timeout_s=10.0)
    waits = [asyncio.create_task(http.post("/v1/jobs/wait", body, wire.Outcomes)) for _ in range(9)]
    await asyncio.sleep(0.05)

    await api.use_cases.jobs.kill.kill(ACCOUNT, None)

    for replied in await asyncio.gather(*waits):
        assert [outcome.jid for outcome in replied.outcomes] == [1, 2, 3]
