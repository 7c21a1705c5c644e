"""Grants: what an account may use without paying, and until when."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request, SubmitId
from picloud_model.wire.budget import MAX_DOLLARS
from picloud_model.wire.usage import money

MAX_GRANTS: Final = 1000
"""Most grants that an account is ever given."""
MAX_CORE_HOURS: Final = 1_000_000_000.0
"""The largest grant of core hours."""

GrantId = Annotated[int, Meta(ge=1, le=2**53)]
_Account = Annotated[str, Meta(pattern="^a[0-9a-z]{1,30}$", max_length=31)]
_Dollars = Annotated[float, Meta(gt=0, le=MAX_DOLLARS)] | None
_CoreHours = Annotated[float, Meta(gt=0, le=MAX_CORE_HOURS)] | None
_Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$(?!\n)", max_length=10)]


class GrantRequest(Request, frozen=True):
    """Grant an account some use: `POST /v1/grants`. A repeated `request_id` grants it once.

    It is either `dollars`, or `core_hours` of one core type or, without `core_type`, of any. It is
    for jobs that are created from today on `until` a day in UTC (2027-06-30), that day included.
    """

    request_id: SubmitId
    account: _Account
    until: _Day
    dollars: _Dollars = None
    core_hours: _CoreHours = None
    core_type: Annotated[str, Meta(max_length=100)] | None = None
    note: Annotated[str, Meta(max_length=200)] = ""


class EndGrantRequest(Request, frozen=True):
    """Let today be the last day of a grant: `POST /v1/grants/end`."""

    account: _Account
    grant: GrantId


class GrantsRequest(Request, frozen=True):
    """List grants and free core hours: `POST /v1/grants/list`; administrators name an account."""

    account: _Account | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A grant: for jobs that are created on or after the day `since` and on or before `until`."""

    id: int
    since: str
    until: str
    dollars: float | None = None
    core_hours: float | None = None
    core_type: str | None = None
    note: str = ""

    @property
    def amount(self) -> str:
        """What was granted, in words.

        >>> Grant(id=1, since="", until="", core_hours=500, core_type="c1").amount
        '500 core hours on c1'
        """
        if self.core_hours is None:
            return money(self.dollars or 0.0)
        of_type = "" if self.core_type is None else f" on {self.core_type}"
        return f"{self.core_hours:,g} core hours{of_type}"


class FreeHours(msgspec.Struct, frozen=True):
    """Free core hours in each month by core type, from a day on."""

    since: str
    core_hours: dict[str, float]


class GrantMade(Answer, frozen=True):
    """A grant that was made or ended."""

    grant: Grant


class GrantsListed(Answer, frozen=True):
    """All grants of an account, also ended ones, and the free core hours, the oldest first."""

    grants: list[Grant]
    free: list[FreeHours]
