"""Workload identities: who a task is, signed by Nomad."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec
from picloud_model.errors import SlotRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ALGORITHMS: Final = ("RS256", "EdDSA")
"""What Nomad signs with; the token itself has no say."""
_LEEWAY_S: Final = 60
"""What Nomad's clock and ours may differ by."""
_REFETCH_S: Final = 1.0
"""How often keys are asked for at most, however many tokens name a key that nobody knows."""


class Identity(msgspec.Struct, frozen=True, rename=lambda name: f"nomad_{name}"):
    """What Nomad says of a task."""

    namespace: str
    job_id: str
    allocation_id: str
    task: str


class _Validity(msgspec.Struct, frozen=True):
    nbf: int
    exp: int


class Identities:
    """Reads identities; any number of threads may use it.

    Args:
        fetch: Asks Nomad for its public keys, as a JSON web key set.
        audience: Whom the identities have to be made for.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        fetch: Callable[[], Mapping[str, Any]],
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._audience = audience
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def read(self, token: str) -> Identity:
        """What Nomad says of the bearer of a token.

        Raises:
            SlotRefused: When Nomad has not signed it, for us and for now.
            Unavailable: When Nomad's keys cannot be had.
        """
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                # Its time is checked below, by our clock.
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
            valid = msgspec.convert(claims, _Validity)
            identity = msgspec.convert(claims, Identity)
        except (jwt.PyJWTError, msgspec.MsgspecError, ValueError):
            raise SlotRefused from None
        if not valid.nbf - _LEEWAY_S <= self._clock() < valid.exp + _LEEWAY_S:
            raise SlotRefused
        return identity

    def _key(self, name: object) -> jwt.PyJWK:
        key = self._keys.get(str(name))
        if key is None:
            with self._lock:
                self._refetch()
            key = self._keys.get(str(name))
        if key is None:
            raise SlotRefused
        return key

    def _refetch(self) -> None:
        now = time.monotonic()
        if now - self._fetched_at >= _REFETCH_S:
            try:
                found = jwt.PyJWKSet.from_dict(dict(self._fetch()))
            except jwt.PyJWTError as error:
                message = f"Nomad has no keys yet to check slots' identities with: {error}"
                raise Unavailable(message) from error
            self._keys = {str(key.key_id): key for key in found.keys}
            self._fetched_at = now
