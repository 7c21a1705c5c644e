"""Budgets: what jobs may cost, for an account or a label of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request
from picloud_model.wire.limits import MAX_LABEL

BudgetPeriod = Literal["day", "month", "total"]
BudgetAction = Literal["refuse", "kill", "warn"]
BUDGET_PERIODS: Final[tuple[BudgetPeriod, ...]] = get_args(BudgetPeriod)
BUDGET_ACTIONS: Final[tuple[BudgetAction, ...]] = get_args(BudgetAction)
MAX_DOLLARS: Final = 1_000_000_000.0
"""The largest budget."""
MAX_BUDGETS: Final = 100
"""Budgets of an account."""
NEARLY: Final = 0.8
"""What part of a budget is spent when that is said before it is reached."""

_Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL)] | None
_Account = Annotated[str, Meta(pattern="^a[0-9a-z]{1,30}$", max_length=31)] | None


_EACH: Final = {"day": "a day", "month": "a month", "total": "in all"}


def words(period: BudgetPeriod, label: str | None) -> str:
    """Return which budget it is, as a sentence goes on after its amount.

    >>> words("day", None), words("total", "training")
    ('a day', "in all for the label 'training'")
    """
    return _EACH[period] if label is None else f"{_EACH[period]} for the label {label!r}"


class SetBudgetRequest(Request, frozen=True):
    """Set a budget in place of an earlier one of its period and label: `POST /v1/budgets`.

    Jobs of the account, or those with a `label`, may cost so many `dollars` in a UTC day or month,
    by the time at which they were created, or in all from when the budget was first set. Then new
    jobs are refused, unfinished ones are killed as well, or it is only said. With an `account` the
    budget is a cap of the operator's for that account, which its owner cannot change.
    """

    dollars: Annotated[float, Meta(ge=0, le=MAX_DOLLARS)]
    period: BudgetPeriod
    action: BudgetAction = "refuse"
    label: _Label = None
    account: _Account = None


class RemoveBudgetRequest(Request, frozen=True):
    """Remove the budget of a period and label: `POST /v1/budgets/remove`."""

    period: BudgetPeriod
    label: _Label = None
    account: _Account = None


class BudgetsRequest(Request, frozen=True):
    """List budgets, with what is spent: `POST /v1/budgets/list`; administrators name an account."""

    account: _Account = None


class ListedBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget, and what is spent of it in its current period, which began at `since_at`.

    `is_cap` is whether the operator of the server has set it. Jobs that run count so far.
    """

    dollars: float
    period: BudgetPeriod
    action: BudgetAction
    label: str | None
    is_cap: bool
    since_at: float
    spent: float

    @property
    def left(self) -> float:
        """How many dollars are left, at least 0."""
        return max(0.0, self.dollars - self.spent)

    @property
    def is_reached(self) -> bool:
        """Whether nothing is left."""
        return self.spent >= self.dollars

    @property
    def is_nearly_reached(self) -> bool:
        """Whether most of it is spent."""
        return self.spent >= NEARLY * self.dollars


class BudgetSet(Answer, frozen=True):
    """The budget that was set."""

    budget: ListedBudget


class BudgetsListed(Answer, frozen=True):
    """The budgets of an account: those of the operator first, then by label and period."""

    budgets: list[ListedBudget]
