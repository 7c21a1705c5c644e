"""Prices: what an hour of a core costs."""

from __future__ import annotations

from picloud_model.wire.body import Answer, Request


class PricesRequest(Request, frozen=True):
    """Ask what cores cost: `POST /v1/prices`."""


class PricesListed(Answer, frozen=True):
    """Dollars for an hour of one core, by core type; None for a type without a price.

    They apply to jobs that were created at or after `since_at`: 0 if they never changed.
    """

    dollars_per_hour: dict[str, float | None]
    since_at: float
