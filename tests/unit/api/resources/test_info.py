"""`/v1/jobs/info`, `/v1/jobs/list`, `/v1/jobs/batches`, `/v1/jobs/delete`: over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def test_jobs_are_shown_listed_and_deleted(api: ApiHarness, http: HttpApi) -> None:
    """Each address calls its use case for the account of the key."""
    await api.submit(3)
    info = wire.InfoRequest(jids=[(1, 2)], keys=["status"])
    jids = wire.DeleteRequest(jids=[(3, 3)])
    await http.post("/v1/jobs/kill", wire.JobsRequest(jids=[(3, 3)]), wire.Killed)

    shown = await http.post("/v1/jobs/info", info, wire.JobInfos)
    deleted = await http.post("/v1/jobs/delete", jids, wire.Deleted)
    listed = await http.post("/v1/jobs/list", wire.ListRequest(), wire.JobsListed)
    batches = await http.post("/v1/jobs/batches", wire.BatchesRequest(), wire.BatchesListed)

    assert [(job.jid, job.values["status"]) for job in shown.jobs] == [(1, "queued"), (2, "queued")]
    assert deleted.count == 1
    assert [job.jid for job in listed.jobs] == [2, 1]
    assert [batch.statuses for batch in batches.batches] == [{"queued": 2}]


async def test_a_deleted_job_is_410(api: ApiHarness, http: HttpApi) -> None:
    """It existed, unlike a job that never did, which is 404."""
    await api.submit(1)
    await http.post("/v1/jobs/kill", wire.JobsRequest(jids=[(1, 1)]), wire.Killed)
    await http.post("/v1/jobs/delete", wire.DeleteRequest(jids=[(1, 1)]), wire.Deleted)

    deleted, unknown = [
        await http.refusal("/v1/jobs/info", wire.InfoRequest(jids=[(jid, jid)])) for jid in (1, 2)
    ]

    assert (deleted, unknown) == ((410, "job.deleted"), (404, "job.not_found"))
