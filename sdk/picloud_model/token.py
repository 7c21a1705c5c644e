"""The job token: a job's credential in place of an API key, valid while a slot holds its attempt.

The slot signs it with a key that the server derives for that slot and account. So it takes no
request, and a slot cannot sign for another account.
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
    """Identifies the attempt of a job, the slot that holds it, and the account.

    >>> token = JobToken("a0000001", slot=7, jid=12, attempt=1)
    >>> JobToken.read(token.signed(b"k" * 32)) == (token, token.mac(b"k" * 32))
    True
    """

    account: str
    slot: int
    jid: int
    attempt: int

    def signed(self, key: bytes) -> str:
        """Return the token as it is sent."""
        return f"{self._text()}_{self.mac(key)}"

    def mac(self, key: bytes) -> str:
        """Return the signature, in hex."""
        return blake2b(self._text().encode(), key=key, digest_size=_MAC_BYTES).hexdigest()

    def _text(self) -> str:
        return f"{PREFIX}{self.account}_{self.slot:x}_{self.jid}_{self.attempt}"

    @classmethod
    def read(cls, text: str) -> tuple[Self, str] | None:
        """Return the content of a token and its unchecked signature, or None for another text."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        numbers = int(match["slot"], 16), int(match["jid"]), int(match["attempt"])
        return cls(match["account"], *numbers), match["mac"]


def slot_key(secret: bytes, account: str, slot: int) -> bytes:
    """Return the key with which a slot signs the tokens of an account's jobs.

    >>> slot_key(b"s", "a1", 1) == slot_key(b"s", "a1", 2)
    False
    """
    return blake2b(
        f"{account}/{slot:x}".encode(), key=secret, digest_size=KEY_BYTES, person=b"job tokens"
    ).digest()


def same(one: str, other: str) -> bool:
    """Whether two signatures are equal, compared in constant time."""
    return hmac.compare_digest(one, other)
