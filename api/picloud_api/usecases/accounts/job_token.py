"""Job tokens: the key of each slot that signs them, and their check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import JobNotFound, TokenRefused
from picloud_model.token import JobToken, same, slot_key

from picloud_api.engine.jobs.fence import holds_attempt, page_for_slot
from picloud_api.engine.jobs.locate import locate

if TYPE_CHECKING:
    from picloud_api.engine.process.context import Context


class JobTokens:
    """Derives the keys with which slots sign, and checks signed tokens; it stores nothing."""

    def __init__(self, context: Context, secret: bytes) -> None:
        self._view = context.commits.view
        self._secret = secret

    def key_for(self, account: str, slot: int) -> bytes:
        """Return the key with which a slot signs the tokens of its jobs."""
        return slot_key(self._secret, account, slot)

    async def recognise(self, text: str) -> JobToken:
        """Return what a token says, once its signature and its attempt are checked.

        Raises:
            TokenRefused: When it is forged, or its slot no longer holds the attempt.
        """
        content = JobToken.read(text)
        if content is None:
            raise TokenRefused
        token, mac = content
        if not same(mac, token.mac(self.key_for(token.account, token.slot))):
            raise TokenRefused
        if not await self.is_held(token):
            raise TokenRefused
        return token

    async def is_held(self, token: JobToken) -> bool:
        """Return whether the slot of a token still holds the attempt that it names."""
        try:
            (piece,) = await locate(self._view, token.account, [(token.jid, token.jid)])
        except JobNotFound:
            return False
        attempts = [(piece.start, token.attempt)]
        page = await page_for_slot(self._view, piece.page_id, attempts, token.slot)
        return page is not None and holds_attempt(page, piece.start, token.attempt, token.slot)
