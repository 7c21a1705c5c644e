"""Proofs of a slot's identity: signed by the server, given only to the slot."""

from __future__ import annotations

import time
from typing import Any, Final

import jwt
import msgspec
from picloud_model.errors import SlotRefused

from picloud_driver.scheduler.port import Placement

AUDIENCE: Final = "picloud-slot"
VALID_S: Final = 3600
"""How long a proof is valid; a slot presents it once, as soon as it has started."""
_LEEWAY_S: Final = 60
"""How far the machine's clock may be set back between the making of a proof and its check."""


class Proofs:
    """Makes and reads proofs: JSON web tokens signed by HMAC-SHA256.

    >>> from picloud_driver.scheduler.port import Pool
    >>> proofs = Proofs(bytes(32))
    >>> proofs.read(proofs.make(Placement("burst", "place", Pool("a", "c1", 1)))).place
    'place'
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, placement: Placement) -> str:
        """Return a proof that its bearer is the slot of a placement."""
        now = int(time.time())
        claims: dict[str, Any] = msgspec.to_builtins(placement)
        claims |= {"aud": AUDIENCE, "iat": now, "exp": now + VALID_S}
        return jwt.encode(claims, self._key, algorithm="HS256")

    def read(self, proof: str) -> Placement:
        """Return the placement of a proof.

        Raises:
            SlotRefused: When it is forged, expired or no proof.
        """
        try:
            claims = jwt.decode(
                proof,
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                leeway=_LEEWAY_S,
                options={"require": ["aud", "iat", "exp"]},
            )
            return msgspec.convert(claims, Placement)
        except (jwt.InvalidTokenError, msgspec.MsgspecError, ValueError):
            raise SlotRefused from None
