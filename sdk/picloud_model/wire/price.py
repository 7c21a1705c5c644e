"""Prices: what an hour of a core costs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from picloud_model.wire.body import Answer, Request


class PricesRequest(Request, frozen=True):
    """Ask what cores cost, and for a core type how many slots may run: `POST /v1/prices`.

    Prices may differ in an environment `env`, which is named as in the options of jobs.
    """

    core_type: Annotated[str, Meta(max_length=100)] | None = None
    env: Annotated[str, Meta(max_length=100)] | None = None


class PricesListed(Answer, frozen=True):
    """Dollars for an hour of one core, by core type; None for a type without a price.

    They apply to jobs that were created at or after `since_at`: 0 if they never changed. `slots` is
    how many slots of one core of the requested type may run at once, for all accounts; 0 if no
    machine offers it. It is None in an answer to a request without a type.
    """

    dollars_per_hour: dict[str, float | None]
    since_at: float
    slots: int | None = None
