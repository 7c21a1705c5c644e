"""Webhooks: what the server posts when jobs have ended, and the secret that signs it."""

from __future__ import annotations

from typing import Final

import msgspec

from picloud_model.wire.body import Answer, Request

MAX_URL: Final = 2000
"""Longest address of a webhook, in characters."""
TIME_HEADER: Final = "PiCloud-Timestamp"
SIGNATURE_HEADER: Final = "PiCloud-Signature"
DELIVERY_HEADER: Final = "PiCloud-Delivery"
"""The header that is the same in each attempt to deliver the same news."""


class WebhookSecretRequest(Request, frozen=True):
    """Return the secret that signs the webhooks of your account: `POST /v1/webhooks/secret`."""


class WebhookSecret(Answer, frozen=True):
    """The secret that signs the webhooks of an account."""

    secret: str

    def __repr__(self) -> str:
        return "WebhookSecret()"


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
