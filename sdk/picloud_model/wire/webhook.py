"""Webhooks: what the server posts when jobs have ended, and the secret that signs it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from picloud_model.wire.body import Answer, Request, SubmitId

MAX_URL: Final = 2000
"""Longest address of a webhook, in characters."""
TIME_HEADER: Final = "PiCloud-Timestamp"
SIGNATURE_HEADER: Final = "PiCloud-Signature"
DELIVERY_HEADER: Final = "PiCloud-Delivery"
"""The header that is the same in each attempt to deliver the same news."""


class WebhookSecretRequest(Request, frozen=True):
    """Return the secret that signs the webhooks of your account: `POST /v1/webhooks/secret`."""


class RotateWebhookSecretRequest(Request, frozen=True):
    """Replace the secret that signs the webhooks of your account: `POST /v1/webhooks/rotate`.

    For a day posts are signed with the secret before as well. `request_id` is a UUID in hex; a
    request that repeats the last one changes nothing.
    """

    request_id: SubmitId


class WebhookSecret(Answer, frozen=True):
    """The secret that signs the webhooks of an account."""

    secret: str

    def __repr__(self) -> str:
        return "WebhookSecret()"


class WebhookState(StrEnum):
    """What became of the post about a call or a map."""

    WAITING = "waiting"
    """Not all of its jobs have ended."""
    DUE = "due"
    """It has not been tried yet."""
    RETRYING = "retrying"
    """It was not accepted, and will be tried again."""
    DELIVERED = "delivered"
    """The receiver has accepted it."""
    FAILED = "failed"
    """It was not accepted for a day; it will not be tried again."""
    UNKNOWN = "unknown"
    """It was delivered or given up, too long ago to tell."""


class WebhookInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the post about a call or a map, as `info` shows it under `webhook`.

    Times are seconds since the epoch. `problem` says why the last attempt failed.
    """

    url: str
    state: WebhookState
    attempts: int | None = None
    """None once it has been delivered."""
    last_attempt: float | None = None
    next_attempt: float | None = None
    problem: str | None = None


class JobsEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a webhook: the jobs `jid .. jid+count-1` of one call or map have ended.

    `status` is `done` if all of them are done, else the first of `error`, `stalled` and `killed`
    that one of them has. `statuses` says how many have which status. `ended` is when the last one
    ended, in seconds since the epoch.
    """

    jid: int
    count: int
    status: str
    statuses: dict[str, int]
    label: str | None
    ended: float
