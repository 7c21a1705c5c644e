"""The results of other jobs that arrived with a job, for the arguments that name them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from picloud_model.pack import Envelope
    from picloud_model.wire import Outcomes


class HandedOver:
    """The parcels of results by jid, while the arguments of a job are unpickled.

    >>> HandedOver().values([7]) is None
    True
    """

    def __init__(self) -> None:
        self._parcels: dict[int, bytes] = {}
        self._load: Callable[[bytes], Any]

    @contextmanager
    def during(
        self, results: Outcomes, here: Envelope, load: Callable[[bytes], Any]
    ) -> Iterator[None]:
        """Have results at hand for a `with` block.

        Args:
            results: The results.
            here: The envelope of this process: results of other kinds of processes are left out.
            load: Unpickles a parcel.
        """
        self._load = load
        envelopes = [envelope == here for envelope in results.envelopes]
        self._parcels = {
            each.jid: each.payload
            for each in results.outcomes
            if each.payload is not None and envelopes[each.envelope]
        }
        try:
            yield
        finally:
            self._parcels = {}

    def values(self, jids: Sequence[int]) -> list[Any] | None:
        """Return the results of jobs; None if one is not at hand, or cannot be unpickled here."""
        parcels = [self._parcels.get(jid) for jid in jids]
        if None in parcels:
            return None
        try:
            return [self._load(parcel) for parcel in parcels if parcel is not None]
        except Exception:  # noqa: BLE001 - who reads it from the server is told why, or gets its code
            return None


HANDED_OVER = HandedOver()
