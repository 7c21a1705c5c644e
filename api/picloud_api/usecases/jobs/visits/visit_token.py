"""Visit tokens: signed texts that let a browser into one machine."""

from __future__ import annotations

import hmac
import re
from enum import Enum
from hashlib import sha256
from typing import Final

import msgspec

PASS_S: Final = 30
"""How long a pass works, which a URL contains."""
VISIT_S: Final = 12 * 3600
"""How long a browser is let in, by a cookie."""
_MICRO: Final = 1_000_000
_TOKEN: Final = re.compile(r"([og])\.([0-9a-f]{12})\.([0-9a-f]{1,16})\.([0-9a-f]{64})")


class Guest(Enum):
    """Who visits."""

    OWNER = "o"
    """The owner, signed in to the account; the subject is the id of the key."""
    SHARED = "g"
    """A person with the second password; the subject is a digest of its hash."""


class Use(Enum):
    """What a token is for; one of a kind is not valid as the other."""

    PASS = PASS_S
    """It is in a URL, and is exchanged for a cookie."""
    VISIT = VISIT_S
    """It is that cookie."""


class Visit(msgspec.Struct, frozen=True):
    """Who visits a machine, since when, and by which key or password."""

    guest: Guest
    subject: str
    begun_at: float


class VisitTokens:
    """Signs and reads tokens.

    Args:
        key: What they are signed with.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, use: Use, label: str, visit: Visit) -> str:
        """Return the token of a visit to one machine."""
        begun = int(visit.begun_at * _MICRO)
        claims = f"{visit.guest.value}.{visit.subject}.{begun:x}"
        return f"{claims}.{self._signature(use, label, claims)}"

    def read(self, use: Use, label: str, token: str, now: float) -> Visit | None:
        """Return the visit that a token allows; None if it allows none, or no longer."""
        matched = _TOKEN.fullmatch(token)
        if matched is None:
            return None
        claims = token.rpartition(".")[0]
        if not hmac.compare_digest(matched[4], self._signature(use, label, claims)):
            return None
        begun_at = int(matched[3], 16) / _MICRO
        if begun_at + use.value <= now:
            return None
        return Visit(Guest(matched[1]), matched[2], begun_at)

    def _signature(self, use: Use, label: str, claims: str) -> str:
        text = f"visit/{use.name}/{label}/{claims}"
        return hmac.digest(self._key, text.encode(), sha256).hex()
