"""Secrets of webhooks: what the server signs its posts with, one for each account."""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final

from picloud_api.store.webhook_record import WebhookSecretRecord, secret_key

if TYPE_CHECKING:
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

OVERLAP_S: Final = 86_400.0
"""For how long posts are signed with the secret before, too, once it has been replaced."""
_FIRST: Final = WebhookSecretRecord(0, 0.0, b"")


class WebhookSecrets:
    """Signs the webhooks of accounts.

    Args:
        context: The store and the clock.
        key: What the secrets of accounts are made of.
    """

    def __init__(self, context: Context, key: bytes) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._key = key

    async def of(self, account: str) -> str:
        """Return the secret of an account."""
        return self._secret(account, (await self._record(account)).generation)

    async def rotate(self, account: str, request_id: str) -> str:
        """Replace the secret of an account; return the new one."""
        request = blake2b(f"{account}/{request_id}".encode(), key=self._key, digest_size=16)
        name, digest = secret_key(account), request.digest()

        async def plan(draft: Draft) -> int:
            record: WebhookSecretRecord = await draft.fresh(name) or _FIRST
            if record.request == digest:
                return record.generation
            following = record.generation + 1
            draft.put(name, WebhookSecretRecord(following, self._clock(), digest))
            return following

        return self._secret(account, await self._commits.run(plan))

    async def signatures(self, account: str, timestamp: int, body: bytes) -> str:
        """Return the signatures of a body that is posted at a time, in seconds since the epoch.

        There are two, that of the current secret first, until the one before has expired.
        """
        record = await self._record(account)
        generations = [record.generation]
        if record.generation and self._clock() - record.rotated_at < OVERLAP_S:
            generations.append(record.generation - 1)
        signed = b"%d." % timestamp + body
        secrets = [self._secret(account, each).encode() for each in generations]
        return " ".join(f"v1={hmac.new(each, signed, sha256).hexdigest()}" for each in secrets)

    async def _record(self, account: str) -> WebhookSecretRecord:
        return await self._commits.view.fresh(secret_key(account)) or _FIRST

    def _secret(self, account: str, generation: int) -> str:
        text = f"{account}/{generation}" if generation else account
        made = blake2b(text.encode(), key=self._key, person=b"webhook", digest_size=24)
        return f"whsec_{made.hexdigest()}"
