"""Slot tokens: a slot's credential, issued in exchange for its scheduler's proof."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import jwt
from picloud_model.errors import SlotRefused

AUDIENCE: Final = "picloud-work"
_ALGORITHM: Final = "HS256"


class SlotTokens:
    """Issues slot tokens and reads them.

    >>> tokens = SlotTokens(bytes(32))
    >>> tokens.number(tokens.issue(7))
    7
    """

    def __init__(self, signing_key: bytes) -> None:
        self._signing_key = signing_key

    def issue(self, number: int) -> str:
        """Return a token for the slot with this number."""
        claims = {"aud": AUDIENCE, "sub": str(number)}
        return jwt.encode(claims, self._signing_key, algorithm=_ALGORITHM)

    def number(self, token: str) -> int:
        """Return the number of the slot that a token was issued to.

        Raises:
            SlotRefused: When the token is forged.
        """
        try:
            claims = jwt.decode(
                token, self._signing_key, algorithms=[_ALGORITHM], audience=AUDIENCE
            )
            return int(claims["sub"])
        except (jwt.InvalidTokenError, KeyError, ValueError):
            raise SlotRefused from None


def is_token(credential: str) -> bool:
    """Whether a credential has the form of a slot token, and not of an API key.

    >>> is_token("pk_1_2"), is_token("a.b.c")
    (False, True)
    """
    return credential.count(".") == 2  # noqa: PLR2004 - the three parts of a JWT


def slot_number(place: str) -> int:
    """Return the number of the slot at a place: 53 bits of a hash of it.

    >>> slot_number("p1") == slot_number("p1"), slot_number("p1") == slot_number("p2")
    (True, False)
    """
    return int.from_bytes(blake2b(place.encode(), digest_size=8).digest()) >> 11 or 1
