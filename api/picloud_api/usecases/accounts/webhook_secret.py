"""Secrets of webhooks: what the server signs its posts with, one for each account."""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256


class WebhookSecrets:
    """Signs the webhooks of accounts.

    Args:
        key: What the secrets of accounts are made of.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, account: str) -> str:
        """Return the secret of an account.

        >>> WebhookSecrets(b"key").of("a")[:6]
        'whsec_'
        """
        made = blake2b(account.encode(), key=self._key, person=b"webhook", digest_size=24)
        return f"whsec_{made.hexdigest()}"

    def signature(self, account: str, timestamp: int, body: bytes) -> str:
        """Return the signature of a body that is posted at a time, in seconds since the epoch."""
        signed = b"%d." % timestamp + body
        return f"v1={hmac.new(self.of(account).encode(), signed, sha256).hexdigest()}"
