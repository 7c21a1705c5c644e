"""Values of secrets in memory: jobs that name one begin also while the secret store is away."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from picloud_model.wire.secret import JobSecret

MAX_BYTES: Final = 8 * 1024 * 1024
"""Of all values together; those that were used longest ago are dropped first."""


class SecretCache:
    """The values that this process has set or read, each as of one change of its secret.

    A caller has read from the state store when the secret was last set. A value of an earlier time
    is not returned, and callers do not ask for secrets that were removed.

    Args:
        max_bytes: Of all values together.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[str, tuple[float, JobSecret]] = OrderedDict()

    def get(self, place: str, set_at: float) -> JobSecret | None:
        """Return the value of a secret that was set at that time, if it is known."""
        known = self._values.get(place)
        if known is None or known[0] != set_at:
            return None
        self._values.move_to_end(place)
        return known[1]

    def put(self, place: str, set_at: float, value: JobSecret) -> None:
        """Remember the value of a secret in place of an earlier one."""
        self.drop(place)
        self._values[place] = set_at, value
        self._bytes += _size(value)
        while self._bytes > self._max_bytes:
            self.drop(next(iter(self._values)))

    def drop(self, place: str) -> None:
        """Forget the value of a secret, if it is known."""
        known = self._values.pop(place, None)
        if known is not None:
            self._bytes -= _size(known[1])


def _size(value: JobSecret) -> int:
    return sum(len(text) for pair in value.values.items() for text in pair)
