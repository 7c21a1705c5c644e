"""Realtime cores of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import Answer
from picloud_model.wire.realtime import (
    ChangeReservationRequest,
    CoresReserved,
    ReleaseCoresRequest,
    ReservationsListed,
    ReservationsRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.realtime import Reservation, ReserveCoresRequest

    from cloud._http.transport import Transport


class RealtimeClient:
    """Reserves cores, and lists, changes and ends reservations."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def reserve(self, request: ReserveCoresRequest) -> Reservation:
        """Reserve cores."""
        return self._transport.post("/v1/realtime", request, CoresReserved).reservation

    def list(self) -> Sequence[Reservation]:
        """Return the reservations that have not ended, the oldest first."""
        request = ReservationsRequest()
        return self._transport.post("/v1/realtime/list", request, ReservationsListed).reservations

    def release(self, number: int) -> None:
        """End a reservation now, if it has not ended."""
        self._transport.post(
            "/v1/realtime/release", ReleaseCoresRequest(reservation=number), Answer
        )

    def change(self, number: int, hours: float | None) -> Reservation:
        """Let a reservation end so many hours after its start; None is for no limit."""
        request = ChangeReservationRequest(reservation=number, hours=hours)
        return self._transport.post("/v1/realtime/change", request, CoresReserved).reservation
