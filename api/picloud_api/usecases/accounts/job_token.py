"""Job tokens: who asks when a job does, and whether it still is that job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import JobNotFound, TokenRefused
from picloud_model.token import JobToken, same, slot_key

from picloud_api.engine.jobs.fence import holds_attempt, page_for_slot
from picloud_api.engine.jobs.locate import locate

if TYPE_CHECKING:
    from picloud_api.engine.process.context import Context


class JobTokens:
    """Derives the keys slots sign with, and checks what they signed; nothing of it is stored."""

    def __init__(self, context: Context, secret: bytes) -> None:
        self._view = context.commits.view
        self._secret = secret

    def key_for(self, account: str, slot: int) -> bytes:
        """The key with which a slot signs."""
        return slot_key(self._secret, account, slot)

    async def recognise(self, text: str) -> JobToken:
        """Whose token it is.

        Raises:
            TokenRefused: When it is forged, or its attempt is not held any more.
        """
        found = JobToken.read(text)
        if found is None:
            raise TokenRefused
        token, mac = found
        if not same(mac, token.mac(self.key_for(token.account, token.slot))):
            raise TokenRefused
        if not await self._is_held(token):
            raise TokenRefused
        return token

    async def _is_held(self, token: JobToken) -> bool:
        try:
            (piece,) = await locate(self._view, token.account, [(token.jid, token.jid)])
        except JobNotFound:
            return False
        named = [(piece.start, token.attempt)]
        page = await page_for_slot(self._view, piece.place, named, token.slot)
        return page is not None and holds_attempt(page, piece.start, token.attempt, token.slot)
