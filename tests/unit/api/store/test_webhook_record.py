"""Records of webhooks: the keys that they have."""

from __future__ import annotations

import msgspec
from picloud_api.store.records import BatchId
from picloud_api.store.webhook_record import WebhookRecord, webhook_key


def test_its_key_names_the_batch() -> None:
    """A post that was never tried is due at once."""
    record = WebhookRecord(url="https://a.example", first=1, count=2, label="", ended_at=3.0)

    assert WebhookRecord.parse(webhook_key("a1", "b1")) == BatchId("a1", "b1")
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
    assert stored == ["https://a.example", 1, 2, "", 3.0, 0.0, 0, 0.0, 0.0, ""]
