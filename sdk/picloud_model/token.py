"""The job token: what a job shows in place of an API key, for as long as its attempt is held.

The slot signs it with a key the server derives for that slot and account, so that no request is
made for it and no slot can sign for another account.
"""

from __future__ import annotations

import hmac
import re
from hashlib import blake2b
from typing import Final, Self

import msgspec

PREFIX: Final = "pj_"
KEY_BYTES: Final = 32
_MAC_BYTES: Final = 16
_TOKEN: Final = re.compile(
    PREFIX + r"(?P<account>[0-9a-z]{1,40})_(?P<slot>[0-9a-f]{1,16})"
    r"_(?P<jid>[0-9]{1,16})_(?P<attempt>[0-9]{1,5})_(?P<mac>[0-9a-f]{32})"
)


class JobToken(msgspec.Struct, frozen=True):
    """Which attempt of which job, held by which slot, of which account.

    >>> token = JobToken("a0000001", slot=7, jid=12, attempt=1)
    >>> JobToken.read(token.signed(b"k" * 32)) == (token, token.mac(b"k" * 32))
    True
    """

    account: str
    slot: int
    jid: int
    attempt: int

    def signed(self, key: bytes) -> str:
        """The token as it is sent."""
        return f"{self._text()}_{self.mac(key)}"

    def mac(self, key: bytes) -> str:
        """The signature, in hex."""
        return blake2b(self._text().encode(), key=key, digest_size=_MAC_BYTES).hexdigest()

    def _text(self) -> str:
        return f"{PREFIX}{self.account}_{self.slot:x}_{self.jid}_{self.attempt}"

    @classmethod
    def read(cls, text: str) -> tuple[Self, str] | None:
        """What a token says and its signature, which is to be checked; None if it is no token."""
        found = _TOKEN.fullmatch(text)
        if found is None:
            return None
        numbers = int(found["slot"], 16), int(found["jid"]), int(found["attempt"])
        return cls(found["account"], *numbers), found["mac"]


def slot_key(secret: bytes, account: str, slot: int) -> bytes:
    """The key with which one slot signs the tokens of one account's jobs.

    >>> slot_key(b"s", "a1", 1) == slot_key(b"s", "a1", 2)
    False
    """
    return blake2b(
        f"{account}/{slot:x}".encode(), key=secret, digest_size=KEY_BYTES, person=b"job tokens"
    ).digest()


def same(one: str, other: str) -> bool:
    """Whether two signatures are equal, in a time that tells nothing."""
    return hmac.compare_digest(one, other)
