"""Realtime cores: requests and answers about cores that an account reserves."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request, SubmitId

MAX_RESERVED: Final = 10_000
"""Most cores of a reservation."""
MAX_RESERVATIONS: Final = 100
"""Most reservations that an account has at once."""
MAX_HOURS: Final = 8_784.0
"""Longest time for which cores can be reserved, in hours: a year; without a limit they stay."""
RESERVED: Final = "reserved cores"
"""The group of reservations where usage is listed by label, function or map."""

ReservationId = Annotated[int, Meta(ge=1, le=2**53)]
_Hours = Annotated[float, Meta(gt=0, le=MAX_HOURS)] | None


class ReserveCoresRequest(Request, frozen=True):
    """Reserve cores of a type: `POST /v1/realtime`. A repeated `request_id` reserves them once.

    Slots of `job_cores` cores are kept running for jobs of the account in the environment `env`
    (None for the base) that come from a `python` such as 3.11. It ends `hours` after all of them
    have first run, or when it is released.
    """

    request_id: SubmitId
    core_type: Annotated[str, Meta(max_length=100)]
    cores: Annotated[int, Meta(ge=1, le=MAX_RESERVED)]
    python: Annotated[str, Meta(pattern=r"^[0-9]{1,2}\.[0-9]{1,3}$", max_length=6)]
    job_cores: Annotated[int, Meta(ge=1, le=16)] = 1
    hours: _Hours = None
    env: Annotated[str, Meta(max_length=100)] | None = None


class ReleaseCoresRequest(Request, frozen=True):
    """End a reservation now, if it has not ended: `POST /v1/realtime/release`."""

    reservation: ReservationId


class ChangeReservationRequest(Request, frozen=True):
    """Let a reservation end so many hours after its start: `POST /v1/realtime/change`.

    None is for no limit; one that is over ends now.
    """

    reservation: ReservationId
    hours: _Hours


class ReservationsRequest(Request, frozen=True):
    """List the reservations that have not ended: `POST /v1/realtime/list`."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """Cores that are reserved, and what they have cost until now, in dollars.

    `started_at` is when all of them ran for the first time, None before; `until_at` is when the
    reservation ends, None if that is not known. The cost is None where the core type has no price.
    """

    id: int
    core_type: str
    cores: int
    job_cores: int
    env: str | None
    hours: float | None
    requested_at: float
    started_at: float | None
    until_at: float | None
    cost: float | None


class CoresReserved(Answer, frozen=True):
    """A reservation that was made or changed."""

    reservation: Reservation


class ReservationsListed(Answer, frozen=True):
    """Reservations that have not ended, the oldest first."""

    reservations: list[Reservation]
