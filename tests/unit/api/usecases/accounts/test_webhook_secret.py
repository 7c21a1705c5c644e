"""Secrets of webhooks: one for each account, which signs time and body."""

from __future__ import annotations

import hmac
from hashlib import sha256

from picloud_api.usecases.accounts.webhook_secret import WebhookSecrets


def test_each_account_has_a_secret_of_its_own() -> None:
    """It depends on the key of the server, and stays the same."""
    secrets = WebhookSecrets(b"key")

    assert secrets.of("a1") == WebhookSecrets(b"key").of("a1")
    assert len({secrets.of("a1"), secrets.of("a2"), WebhookSecrets(b"other").of("a1")}) == 3


def test_a_signature_is_of_the_time_and_the_body() -> None:
    """As the documentation describes it."""
    secrets = WebhookSecrets(b"key")

    expected = hmac.new(secrets.of("a1").encode(), b"1796083200.{}", sha256).hexdigest()

    assert secrets.signature("a1", 1796083200, b"{}") == f"v1={expected}"
    assert secrets.signature("a1", 1796083201, b"{}") != f"v1={expected}"
