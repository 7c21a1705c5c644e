"""The webhook sender: posts when a call or a map has ended, until a receiver accepts it."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_api.background.webhook_sender import FORGET_EVERY_S, GIVE_UP_S, WebhookSender
from picloud_api.engine.jobs.webhook import KEEP_FAILED_S
from picloud_api.store.webhook_record import FailedWebhookRecord, WebhookRecord
from picloud_driver.webhook import NotDelivered, WebhookPort
from picloud_model.wire.webhook import DELIVERY_HEADER, SIGNATURE_HEADER, TIME_HEADER

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.api.api_harness import ApiHarness

URL = "https://example.org/jobs"


class RecordingWebhooks(WebhookPort):
    """Receivers that record what is posted, and refuse it as often as a test says."""

    adapter = "recording"

    def __init__(self) -> None:
        self.refusals = 0
        self.posts: list[tuple[str, Mapping[str, str], bytes]] = []

    def check(self, url: str) -> None:
        """Accept every URL."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.posts.append((url, headers, body))
        if self.refusals:
            self.refusals -= 1
            raise NotDelivered("It answered with the status 500.")

    async def close(self) -> None:
        """Do nothing."""

    @property
    def news(self) -> list[Any]:
        """The bodies that were posted."""
        return [msgspec.json.decode(body) for _, _, body in self.posts]


@pytest.fixture
def receivers() -> RecordingWebhooks:
    """What the sender posts to."""
    return RecordingWebhooks()


@pytest.fixture
def sender(api: ApiHarness, receivers: RecordingWebhooks) -> WebhookSender:
    """The sender of a process that leads."""
    background = api.server.background
    background.autoscaler.is_leader = True
    return WebhookSender(
        api.server.context,
        background.leader,
        statuses=api.use_cases.jobs.status,
        secrets=api.use_cases.accounts.webhook_secrets,
        port=receivers,
    )


async def send(sender: WebhookSender) -> None:
    """Send what is due, and wait until it was answered."""
    await sender.send_if_leader()
    await sender.wait()


async def test_the_end_of_a_call_is_posted_and_signed(
    api: ApiHarness, sender: WebhookSender, receivers: RecordingWebhooks
) -> None:
    """Once, and not before; the signature is of the time and the body."""
    (jid,) = await api.submit(1, on_done=URL, label="nightly")
    await send(sender)
    assert not receivers.posts
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease)], lease=False)

    for _ in range(2):
        await send(sender)

    ((url, headers, body),) = receivers.posts
    assert url == URL
    (news,) = receivers.news
    assert news.pop("ended") == pytest.approx(api.now)
    assert news == {
        "jid": jid, "count": 1, "status": "done", "statuses": {"done": 1}, "label": "nightly",
    }  # fmt: skip
    secret = (await api.use_cases.accounts.webhook_secrets.of(ACCOUNT)).encode()
    signed = headers[TIME_HEADER].encode() + b"." + body
    assert headers[SIGNATURE_HEADER] == f"v1={hmac.new(secret, signed, sha256).hexdigest()}"
    assert headers[TIME_HEADER] == f"{api.now:.0f}"


async def test_a_map_is_one_post_when_its_last_job_has_ended(
    api: ApiHarness, sender: WebhookSender, receivers: RecordingWebhooks
) -> None:
    """It says how many jobs ended in which way; killed ones count as well."""
    jids = await api.submit(3, on_done=URL)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[1])])
    await send(sender)
    assert not receivers.posts

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[2], jids[2])])
    await send(sender)

    (news,) = receivers.news
    assert (news["jid"], news["count"], news["status"]) == (jids[0], 3, "killed")
    assert news["statuses"] == {"killed": 3}


async def test_a_refused_post_is_repeated_after_growing_pauses(
    api: ApiHarness, sender: WebhookSender, receivers: RecordingWebhooks
) -> None:
    """Each attempt is signed anew; all have the same id."""
    (jid,) = await api.submit(1, on_done=URL)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
    receivers.refusals = 3
    counts = []

    for pause_s in (0.0, 0.9, 0.2, 1.0, 1.1, 4.0, 60.0):
        api.now += pause_s
        await send(sender)
        counts.append(len(receivers.posts))

    assert counts == [1, 1, 2, 2, 3, 4, 4]
    headers = [each for _, each, _ in receivers.posts]
    assert len({each[DELIVERY_HEADER] for each in headers}) == 1
    assert len({each[SIGNATURE_HEADER] for each in headers}) == 4
    assert not await api.server.context.commits.view.scan(WebhookRecord.prefix)


async def test_it_is_given_up_after_a_day(
    api: ApiHarness, sender: WebhookSender, receivers: RecordingWebhooks
) -> None:
    """The pauses grow to an hour; that it failed is known for a month."""
    (jid,) = await api.submit(1, on_done=URL)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
    receivers.refusals = 1000
    begun, view = api.now, api.server.context.commits.view

    while await view.scan(WebhookRecord.prefix):
        await send(sender)
        api.now += 600.0

    assert GIVE_UP_S - 3600 <= api.now - begun <= GIVE_UP_S + 3600
    assert 24 <= len(receivers.posts) <= 40
    ((_, failed),) = (await view.scan(FailedWebhookRecord.prefix)).items()
    assert (failed.first, failed.attempts) == (jid, len(receivers.posts))
    assert failed.problem == "It answered with the status 500."
    api.now = failed.tried_at + KEEP_FAILED_S - 1.0
    await send(sender)
    assert await view.scan(FailedWebhookRecord.prefix)
    api.now += FORGET_EVERY_S
    await send(sender)
    assert not await view.scan(FailedWebhookRecord.prefix)


async def test_what_is_due_survives_a_restart(
    api: ApiHarness, receivers: RecordingWebhooks
) -> None:
    """Another process leads, finds it and sends it."""
    (jid,) = await api.submit(1, on_done=URL)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
    await api.stop()
    await api.start()
    background = api.server.background
    after = WebhookSender(
        api.server.context,
        background.leader,
        statuses=api.use_cases.jobs.status,
        secrets=api.use_cases.accounts.webhook_secrets,
        port=receivers,
    )

    background.autoscaler.is_leader = False
    await send(after)
    assert not receivers.posts
    background.autoscaler.is_leader = True
    await send(after)

    assert [each["jid"] for each in receivers.news] == [jid]


async def test_jobs_without_a_webhook_cost_nothing(api: ApiHarness) -> None:
    """Neither an operation when they end, nor a read when nothing is due."""
    counted = []
    for url in (None, URL):
        (jid,) = await api.submit(1, on_done=url)
        before = len(api.state.commits)
        await api.use_cases.jobs.kill.kill(ACCOUNT, [(jid, jid)])
        counted.append(sum(api.state.commits[before:]))

    assert counted[1] == counted[0] + 1
