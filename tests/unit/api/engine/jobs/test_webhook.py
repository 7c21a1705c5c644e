"""Webhooks: what is known of a post, from the submit of its jobs to a month after it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace
from picloud_api.engine.jobs.webhook import KEEP_FAILED_S
from picloud_api.store.webhook_record import FailedWebhookRecord, WebhookRecord, failed_key
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness

URL = "https://example.org/jobs"


async def shown(api: ApiHarness, jid: int) -> Any:
    """Return what `info` shows of the webhook of a job."""
    request = wire.InfoRequest(jids=[(jid, jid)], keys=["webhook"])
    (job,) = (await api.use_cases.jobs.info.info(ACCOUNT, request)).jobs
    return job.values["webhook"]


async def ended(api: ApiHarness) -> int:
    """Return the jid of a job that has ended, and whose post is due."""
    (jid,) = await api.submit(1, on_done=URL)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
    return jid


async def store(api: ApiHarness, state: str, **changes: Any) -> None:
    """Change the post that is due, give it up or deliver it, as the sender does."""
    ((name, record),) = (await api.server.context.commits.view.scan(WebhookRecord.prefix)).items()
    changed = replace(record, **changes)

    async def plan(draft: Draft) -> None:
        await draft.get(name)
        if state == "due":
            draft.put(name, changed)
            return
        draft.delete(name)
        if state == "failed":
            failed = FailedWebhookRecord(**asdict(changed))
            draft.put(failed_key(*WebhookRecord.parse(name)), failed)

    await api.server.context.commits.run(plan)


async def test_a_post_waits_for_all_jobs_of_a_map(api: ApiHarness) -> None:
    """Then it is due; jobs without a webhook have no such info."""
    jids = await api.submit(2, on_done=URL)
    (other,) = await api.submit(1)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])
    assert (await shown(api, jids[0]))["state"] == "waiting"

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[1], jids[1])])

    assert await shown(api, jids[0]) == {
        "url": URL, "state": "due", "attempts": 0, "last_attempt": None, "next_attempt": None,
        "problem": None,
    }  # fmt: skip
    assert await shown(api, other) is None


async def test_a_refused_post_says_why(api: ApiHarness) -> None:
    """And when it is tried next; once it is given up, that nothing follows."""
    jid = await ended(api)
    problem = "It answered with the status 500."

    await store(api, "due", attempts=2, tried_at=5.0, next_at=9.0, problem=problem)
    retried = await shown(api, jid)
    await store(api, "failed")

    assert retried == {
        "url": URL, "state": "retrying", "attempts": 2, "last_attempt": 5.0, "next_attempt": 9.0,
        "problem": problem,
    }  # fmt: skip
    assert await shown(api, jid) == {**retried, "state": "failed", "next_attempt": None}


async def test_a_post_that_is_neither_due_nor_failed_was_delivered(api: ApiHarness) -> None:
    """A month later it is unknown: it may have been given up."""
    jid = await ended(api)
    await store(api, "delivered")

    assert (await shown(api, jid))["state"] == "delivered"
    api.now += KEEP_FAILED_S
    assert (await shown(api, jid))["state"] == "unknown"


async def test_a_failed_post_is_forgotten_with_its_jobs(api: ApiHarness) -> None:
    """When the last of them is deleted."""
    jid = await ended(api)
    await store(api, "failed")

    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid)])

    assert not await api.server.context.commits.view.scan(FailedWebhookRecord.prefix)
