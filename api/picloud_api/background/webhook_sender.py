"""The webhook sender: posts that jobs have ended to the URLs of their users. Only the leader does.

A post is due from the transaction in which the last job ended until a receiver has accepted it, or
a day has passed. It may arrive twice: when the server ends after the receiver has accepted it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import asdict, replace
from picloud_driver.webhook import NotDelivered
from picloud_model.errors import JobDeleted, JobNotFound, PiCloudError
from picloud_model.job import Status
from picloud_model.wire import JSON, encode
from picloud_model.wire.webhook import DELIVERY_HEADER, SIGNATURE_HEADER, TIME_HEADER, JobsEnded

from picloud_api.engine.jobs.webhook import KEEP_FAILED_S
from picloud_api.store.webhook_record import FailedWebhookRecord, WebhookRecord, failed_key

if TYPE_CHECKING:
    from picloud_driver.webhook import WebhookPort

    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.webhook_secret import WebhookSecrets
    from picloud_api.usecases.jobs.status import JobStatuses

READ_EVERY_S: Final = 30.0
"""How often all webhooks are read, whatever the events were."""
GIVE_UP_S: Final = 86_400.0
"""For how long a post is tried again."""
_LONGEST_PAUSE_S: Final = 3600.0
_AT_ONCE: Final = 32
_OF_ONE_ACCOUNT: Final = 4
"""How many posts are under way at once: a receiver that is slow delays those of its account."""
_PROBLEM_CHARACTERS: Final = 300
"""How much of the reason is kept why a post was not accepted."""
FORGET_EVERY_S: Final = 3600.0
"""How often posts that were given up a month ago are looked for."""
_WORST_FIRST: Final = (Status.ERROR, Status.STALLED, Status.KILLED, Status.DONE)

_log = structlog.get_logger()


class WebhookSender:
    """Knows when each post is due next.

    Args:
        context: The store and the clock.
        leader: Says whether this process leads.
        statuses: How jobs ended.
        secrets: What posts are signed with.
        port: What posts.
    """

    def __init__(
        self,
        context: Context,
        leader: Leadership,
        *,
        statuses: JobStatuses,
        secrets: WebhookSecrets,
        port: WebhookPort,
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._changed = context.webhooks_changed
        self._leader = leader
        self._statuses = statuses
        self._secrets = secrets
        self._port = port
        self._next: dict[str, float] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._read_at: float | None = None
        self._forgot_at = -inf

    async def send_if_leader(self) -> None:
        """Begin the posts that are due, unless another process leads."""
        if not self._leader.is_leader:
            self._read_at = None
            return
        now = self._clock()
        is_old = self._read_at is None or abs(now - self._read_at) >= READ_EVERY_S
        if is_old or self._changed.is_set():
            self._changed.clear()
            self._read_at = now
            records = await self._commits.view.scan(WebhookRecord.prefix)
            self._next = {key: record.next_at for key, record in records.items()}
        if abs(now - self._forgot_at) >= FORGET_EVERY_S:
            self._forgot_at = now
            await self._forget_failed(now)
        busy = Counter(WebhookRecord.parse(key).account for key in self._under_way)
        for key, at in sorted(self._next.items(), key=lambda item: item[1]):
            account = WebhookRecord.parse(key).account
            if at > now or len(self._under_way) >= _AT_ONCE:
                return
            if key not in self._under_way and busy[account] < _OF_ONE_ACCOUNT:
                busy[account] += 1
                self._under_way[key] = asyncio.create_task(self._send(key))

    async def _forget_failed(self, now: float) -> None:
        """Delete what is known of posts that were given up long ago."""
        failed = await self._commits.view.scan(FailedWebhookRecord.prefix)
        for key, record in failed.items():
            if now - record.tried_at >= KEEP_FAILED_S:
                await self._commits.run(partial(_change, key=key, seen=record, changed=None))

    async def stop(self) -> None:
        """End the posts that are under way; they are due again when a server starts."""
        await self.wait(cancel=True)

    async def wait(self, *, cancel: bool = False) -> None:
        """Wait for the posts that are under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            if cancel:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, key: str) -> None:
        try:
            following = await self._attempt(key)
        except PiCloudError as error:
            following = self._clock() + READ_EVERY_S
            _log.warning("webhook.not_sent", webhook=key, reason=error.message)
        except Exception:  # noqa: BLE001 - one webhook does not stop the others
            following = self._clock() + READ_EVERY_S
            _log.exception("webhook.failed", webhook=key)
        finally:
            del self._under_way[key]
        if following is None:
            self._next.pop(key, None)
        else:
            self._next[key] = following

    async def _attempt(self, key: str) -> float | None:
        """Post once; return when it is due again, None if it is not."""
        record: WebhookRecord | None = await self._commits.view.fresh(key)
        now = self._clock()
        if record is None or record.next_at > now:
            return record.next_at if record else None
        changed: WebhookRecord | None = None
        failed: FailedWebhookRecord | None = None
        try:
            await self._post(key, record, now)
        except (JobNotFound, JobDeleted):
            pass  # there is nothing left to tell
        except NotDelivered as error:
            pause_s = min(2.0**record.attempts, _LONGEST_PAUSE_S)
            _log.info("webhook.not_delivered", webhook=key, reason=str(error))
            since = record.since or now
            tried = replace(
                record,
                attempts=record.attempts + 1,
                next_at=self._clock() + pause_s,
                since=since,
                tried_at=now,
                problem=str(error)[:_PROBLEM_CHARACTERS],
            )
            if now + pause_s <= since + GIVE_UP_S:
                changed = tried
            else:
                failed = FailedWebhookRecord(**asdict(tried))
                _log.warning("webhook.given_up", webhook=key, reason=str(error))
        change = partial(_change, key=key, seen=record, changed=changed, failed=failed)
        await self._commits.run(change)
        return changed.next_at if changed else None

    async def _post(self, key: str, record: WebhookRecord, now: float) -> None:
        account = WebhookRecord.parse(key).account
        jids = [(record.first, record.first + record.count - 1)]
        runs = (await self._statuses.status(account, jids)).runs
        statuses: Counter[str] = Counter()
        for run in runs:
            statuses[run.status] += run.last - run.first + 1
        news = JobsEnded(
            jid=record.first,
            count=record.count,
            status=next((each for each in _WORST_FIRST if statuses[each]), Status.DONE),
            statuses=dict(statuses),
            label=record.label or None,
            ended=record.ended_at,
        )
        body, timestamp = encode(news, JSON), int(now)
        headers = {
            TIME_HEADER: str(timestamp),
            SIGNATURE_HEADER: await self._secrets.signatures(account, timestamp, body),
            DELIVERY_HEADER: f"{account}-{record.first}",
        }
        await self._port.post(record.url, headers, body)


async def _change(
    draft: Draft,
    key: str,
    seen: WebhookRecord,
    changed: WebhookRecord | None,
    failed: FailedWebhookRecord | None = None,
) -> None:
    """Change or delete a record, unless another process was first."""
    if await draft.fresh(key) != seen:
        return
    if failed is not None:
        draft.put(failed_key(*WebhookRecord.parse(key)), failed)
    if changed is None:
        draft.delete(key)
    else:
        draft.put(key, changed)
