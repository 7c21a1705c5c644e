"""Records of webhooks: ends of calls and maps that are still to be posted to a URL."""

from __future__ import annotations

from typing import ClassVar

from picloud_api.store.records import BatchRecord, NamedRecord


class WebhookRecord(BatchRecord, frozen=True, kw_only=True):
    """A post that is due at `next_at`, under the key `webhooks/<account>/<batch>`.

    The last job ended at `ended_at` by the clock of its slot. It was tried `attempts` times, first
    at `since` and last at `tried_at` by the clock of a server; `problem` says why it failed then.
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
    tried_at: float = 0.0
    problem: str = ""


class FailedWebhookRecord(WebhookRecord, frozen=True, kw_only=True):
    """A post that was given up, under the key `failed_webhooks/<account>/<batch>`."""

    prefix: ClassVar[str] = "failed_webhooks/"


class WebhookSecretRecord(NamedRecord, frozen=True):
    """How often a secret was replaced, under the key `webhook_secrets/<account>`.

    The last time was `rotated_at`, for the request that `request` is a keyed hash of.
    """

    prefix: ClassVar[str] = "webhook_secrets/"

    generation: int
    rotated_at: float
    request: bytes


def webhook_key(account: str, batch: str) -> str:
    """Return the key of the webhook of a batch."""
    return f"{WebhookRecord.prefix}{account}/{batch}"


def failed_key(account: str, batch: str) -> str:
    """Return the key of the webhook of a batch that was given up."""
    return f"{FailedWebhookRecord.prefix}{account}/{batch}"


def secret_key(account: str) -> str:
    """Return the key of how often the secret of an account's webhooks was replaced."""
    return f"{WebhookSecretRecord.prefix}{account}"
