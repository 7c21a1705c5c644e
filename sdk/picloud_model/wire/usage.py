"""Usage: what an account has stored, and what its jobs have run and cost."""

from __future__ import annotations

from decimal import Decimal
from math import floor, log10
from typing import TYPE_CHECKING, Final, Literal, get_args

import msgspec

from picloud_model.wire.body import Answer, Jid, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

UsageGroup = Literal["label", "function", "day", "type", "map"]
USAGE_GROUPS: Final[tuple[UsageGroup, ...]] = get_args(UsageGroup)
SHOWN_GROUPS: Final = (*USAGE_GROUPS, "month")
"""What users may group by: a month is added up from its days."""
_MS_PER_HOUR: Final = 3_600_000


class UsageRequest(Request, frozen=True):
    """Ask what the account has stored: `POST /v1/usage`. It reads all of it, or lists it."""


class StoredBytes(msgspec.Struct, frozen=True):
    """How many things of a kind are stored, and their bytes in all."""

    count: int
    size: int


class AccountUsage(Answer, frozen=True):
    """What an account has stored.

    `jobs` are the states of jobs, with arguments, results and output of up to 256 KiB; `blobs` are
    larger ones, modules, the files of volumes, and everything of batches that were moved out of the
    state store. `objects` are those of the bucket.
    """

    jobs: StoredBytes
    blobs: StoredBytes
    objects: StoredBytes = StoredBytes(0, 0)


class JobUsageRequest(Request, frozen=True):
    """Ask how long jobs have run and what they cost, newest first: `POST /v1/usage/jobs`.

    Args:
        by: What a row stands for; None for one row for each core type and price.
        since_at: Only jobs that were created at or after this time.
        before: Only jids below this one: `more` of the last answer.
    """

    by: UsageGroup | None = None
    since_at: float | None = None
    before: Jid | None = None


class JobUsageRow(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Jobs of one group, core type and price: how many there are and how long they have run.

    A group is a label ("" for none), the name of a function, a day in UTC, a core type, or the jids
    of a call or map. `core_ms` counts each millisecond once for each core of a job.
    """

    group: str
    core_type: str
    dollars_per_hour: float | None
    jobs: int
    runtime_ms: int
    core_ms: int

    @property
    def cost(self) -> float | None:
        """What that costs, in dollars; None without a price."""
        if self.dollars_per_hour is None:
            return None
        return dollars([(self.dollars_per_hour, self.core_ms)])


class JobUsage(Answer, frozen=True):
    """What some of the jobs have used, also deleted ones.

    There may be rows of the same group in later answers: the client adds them up. `more` is the
    `before` of the next request, or None at the end.
    """

    rows: list[JobUsageRow]
    more: int | None = None


def dollars(times: Iterable[tuple[float, int]]) -> float:
    """Return what some time on cores costs; nothing is rounded before the sum.

    Args:
        times: Pairs of dollars per hour of a core, and milliseconds.

    >>> dollars([(0.22, 1_800_000), (0.04, 900_000)])
    0.12
    """
    total = sum((Decimal(repr(price)) * ms for price, ms in times), Decimal(0))
    return float(total / _MS_PER_HOUR)


def money(amount: float) -> str:
    """Return dollars with two digits that mean something, and at least the cents.

    >>> [money(each) for each in (0.0, 0.0000067361, 0.04, 1234.5)]
    ['$0.00', '$0.0000067', '$0.04', '$1,234.50']
    """
    digits = 2 if amount <= 0 else min(9, max(2, 1 - floor(log10(amount))))
    whole, _, cents = f"{amount:,.{digits}f}".partition(".")
    return f"${whole}.{cents.rstrip('0').ljust(2, '0')}"
