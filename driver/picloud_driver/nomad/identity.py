"""Workload identities: signed statements of Nomad about a task."""

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
"""The algorithms that Nomad uses; the token itself cannot choose another."""
_LEEWAY_S: Final = 60
"""How much Nomad's clock and this machine's may differ."""
_REFETCH_S: Final = 1.0
"""Shortest time between two requests for keys, however many tokens name an unknown key."""


class Identity(msgspec.Struct, frozen=True, rename=lambda name: f"nomad_{name}"):
    """The statement of Nomad about a task."""

    namespace: str
    job_id: str
    allocation_id: str
    task: str


class _Validity(msgspec.Struct, frozen=True):
    nbf: int
    exp: int


class Identities:
    """Verifies identities; any number of threads may use it.

    Args:
        fetch: Returns Nomad's public keys, as a JSON web key set.
        audience: The audience that identities must have.
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
        """Return the identity in a token.

        Raises:
            SlotRefused: When Nomad has not signed it, for this audience and this time.
            Unavailable: When Nomad's keys are not available.
        """
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._audience,
                # Its time is checked below, by the injected clock.
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
                key_set = jwt.PyJWKSet.from_dict(dict(self._fetch()))
            except jwt.PyJWTError as error:
                message = f"Nomad has no keys yet to check slots' identities with: {error}"
                raise Unavailable(message) from error
            self._keys = {str(key.key_id): key for key in key_set.keys}
            self._fetched_at = now
