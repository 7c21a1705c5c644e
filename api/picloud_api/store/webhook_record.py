"""Records of webhooks: ends of calls and maps that are still to be posted to a URL."""

from __future__ import annotations

from typing import ClassVar

from picloud_api.store.records import BatchRecord


class WebhookRecord(BatchRecord, frozen=True, kw_only=True):
    """A post that is due at `next_at`, under the key `webhooks/<account>/<batch>`.

    The last job ended at `ended_at` by the clock of its slot. It was tried `attempts` times, first
    at `since` by the clock of a server.
    """

    prefix: ClassVar[str] = "webhooks/"

    url: str
    first: int
    count: int
    label: str
    ended_at: float
    next_at: float = 0.0
    attempts: int = 0
    since: float = 0.0


def webhook_key(account: str, batch: str) -> str:
    """Return the key of the webhook of a batch."""
    return f"{WebhookRecord.prefix}{account}/{batch}"
