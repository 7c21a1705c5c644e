"""Reservations: the records of cores that accounts hold and have held."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from picloud_api.store.records import NamedRecord

if TYPE_CHECKING:
    from collections.abc import Collection

    from picloud_api.store.view import View

_HOUR_S: Final = 3600.0


class ReservationRecord(NamedRecord, frozen=True, kw_only=True):
    """Reserved cores, under the key `realtime/<account>/<id>`.

    `request_id` is that of the request that made it. It started when all of its slots ran.
    """

    prefix: ClassVar[str] = "realtime/"

    request_id: str
    core_type: str
    cores: int
    job_cores: int
    env: str | None
    python: str
    hours: float | None
    requested_at: float
    started_at: float | None = None
    released_at: float | None = None

    @property
    def until_at(self) -> float | None:
        """When it ended or will end; None if that is not known."""
        if self.released_at is not None or self.started_at is None or self.hours is None:
            return self.released_at
        return self.started_at + self.hours * _HOUR_S

    def is_active(self, now: float) -> bool:
        """Whether it has not ended."""
        return self.until_at is None or now < self.until_at

    def core_ms(self, now: float) -> int:
        """Return how long it has been held, in milliseconds, for each core."""
        if self.started_at is None:
            return 0
        end = now if self.until_at is None else min(now, self.until_at)
        return round(max(0.0, end - self.started_at) * 1000) * self.cores


class EndedReservationRecord(ReservationRecord, frozen=True, kw_only=True):
    """A reservation that has ended, under the key `ended_realtime/<account>/<id>`."""

    prefix: ClassVar[str] = "ended_realtime/"


class ReservationNumber(NamedRecord, frozen=True):
    """The last number that a reservation has taken, under the one key `realtime_numbers/last`."""

    prefix: ClassVar[str] = "realtime_numbers/"

    number: int


async def reservations(view: View, account: str) -> Collection[ReservationRecord]:
    """Return every reservation that an account has ever had.

    Args:
        view: The store.
        account: The account.
    """
    found: dict[str, ReservationRecord] = {}
    # One that ends between the two reads is found twice, and counts once.
    for prefix in (ReservationRecord.prefix, EndedReservationRecord.prefix):
        for key, record in (await view.scan(f"{prefix}{account}/")).items():
            found[key.rpartition("/")[2]] = record
    return found.values()
