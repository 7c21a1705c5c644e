"""Webhooks: what became of the post about the end of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.webhook import WebhookInfo, WebhookState

from picloud_api.store import layout
from picloud_api.store.webhook_record import (
    FailedWebhookRecord,
    WebhookRecord,
    failed_key,
    webhook_key,
)

if TYPE_CHECKING:
    from picloud_api.store.records import BatchId
    from picloud_api.store.view import View

KEEP_FAILED_S: Final = 30 * 86_400.0
"""How long it is known that a post was given up."""


async def webhook_info(view: View, batch: BatchId, url: str, ended_ago_s: float) -> WebhookInfo:
    """Return what became of the post about a batch.

    Args:
        view: The store.
        batch: The batch.
        url: Where its end is posted to.
        ended_ago_s: How long ago one of its jobs ended; 0 if it has not.
    """
    names = ready, due, failed = layout.ready(*batch), webhook_key(*batch), failed_key(*batch)
    # A batch loses its ready marker in the transaction in which the post becomes due.
    stored = await view.reload(names)
    if ready in stored:
        return WebhookInfo(url=url, state=WebhookState.WAITING, attempts=0)
    record: WebhookRecord | None = stored.get(due) or stored.get(failed)
    if record is None:
        is_known = ended_ago_s < KEEP_FAILED_S
        return WebhookInfo(
            url=url, state=WebhookState.DELIVERED if is_known else WebhookState.UNKNOWN
        )
    is_failed = isinstance(record, FailedWebhookRecord)
    state = WebhookState.RETRYING if record.attempts else WebhookState.DUE
    return WebhookInfo(
        url=url,
        state=WebhookState.FAILED if is_failed else state,
        attempts=record.attempts,
        last_attempt=record.tried_at or None,
        next_attempt=None if is_failed else record.next_at or None,
        problem=record.problem or None,
    )
