"""`cloud.budget`: what your jobs may cost before they are stopped.

cloud.budget.set(20, per="month")
cloud.budget.set(1.5, label="training", action="kill")
cloud.budget.list()
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` and `set` have other meanings here
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.budget import (
    BUDGET_ACTIONS,
    MAX_DOLLARS,
    BudgetAction,
    BudgetPeriod,
    RemoveBudgetRequest,
    SetBudgetRequest,
)
from picloud_model.wire.limits import MAX_LABEL

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._resources.budget import BudgetClient
from cloud.errors import CloudTypeError, CloudValueError

if TYPE_CHECKING:
    from picloud_model.wire.budget import ListedBudget

__all__ = ["list", "remove", "set"]

_PERIODS: Final[dict[str | None, BudgetPeriod]] = {"day": "day", "month": "month", None: "total"}
_AMOUNT: Final = re.compile(r"\$?([+-]?[0-9.,_eE+-]+)")


@of_users
def set(  # noqa: A001 - users write cloud.budget.set
    dollars: Any,
    per: str | None = None,
    *,
    label: str | None = None,
    action: str = "refuse",
    account: str | None = None,
) -> dict[str, Any]:
    """Limit what your jobs may cost, in place of an earlier budget for the same period and label.

    Args:
        dollars: The amount: a number, or a text such as "$20". 0 stops every job that counts.
        per: "day" or "month" (in UTC, by when a job was created); None for all jobs that are
            created after the budget was first set.
        label: Only jobs with this label count; None for all jobs of your account.
        action: What happens when the amount is spent: with "refuse" new jobs are refused, with
            "kill" unfinished ones are killed as well, with "warn" neither.
        account: As an administrator, an account of which this is a cap: its owner cannot change it.

    Returns:
        What `list` returns for the budget.

    Raises:
        CloudException: When an argument is invalid.

    >>> cloud.budget.set(20, per="month")["left"] <= 20
    True
    """
    if action not in BUDGET_ACTIONS:
        known = ", ".join(BUDGET_ACTIONS)
        raise CloudValueError(f"action must be one of {known}, not {action!r:.80}.")
    chosen: BudgetAction = action
    request = SetBudgetRequest(
        dollars=_dollars(dollars),
        period=_period(per),
        action=chosen,
        label=_label(label),
        account=account,
    )
    return _shown(BudgetClient(client().transport).set(request))


@of_users
def list(account: str | None = None) -> builtins.list[dict[str, Any]]:  # noqa: A001 - as `set`
    """Return the budgets of your account, with what is spent of them now.

    Args:
        account: As an administrator, the account whose budgets you want.

    Returns:
        For each a dict: `dollars`; `per`, "day", "month" or None; `label`, or None; `action`;
        `spent` and `left` in dollars; `since`, when its period began; and `cap`, whether the
        operator of the server has set it.

    Raises:
        CloudException: When the account is not yours.

    >>> budget = cloud.budget.set(5, per="day", label="reports", action="warn")
    >>> [each["dollars"] for each in cloud.budget.list() if each["label"] == "reports"]
    [5.0]
    """
    return [_shown(each) for each in BudgetClient(client().transport).list(account)]


@of_users
def remove(per: str | None = None, *, label: str | None = None, account: str | None = None) -> None:
    """Remove a budget.

    Args:
        per: Its period: "day", "month" or None.
        label: Its label; None for that of all jobs.
        account: As an administrator, the account whose cap it is.

    Raises:
        CloudException: When there is no such budget, or the operator has set it.

    >>> budget = cloud.budget.set(5, per="day")
    >>> cloud.budget.remove(per="day")
    """
    request = RemoveBudgetRequest(period=_period(per), label=_label(label), account=account)
    BudgetClient(client().transport).remove(request)


def _dollars(amount: Any) -> float:
    """Return an amount as a number.

    >>> _dollars("$1,000"), _dollars(2)
    (1000.0, 2.0)
    """
    given = amount
    if isinstance(amount, str):
        matched = _AMOUNT.fullmatch(amount.strip())
        try:
            amount = float(matched[1].replace(",", "")) if matched else None
        except ValueError:
            amount = None
        if amount is None:
            raise CloudValueError(f"A budget is in dollars: write 20 or $20, not {given!r:.80}.")
    if isinstance(amount, bool) or not isinstance(amount, int | float | Decimal):
        raise CloudTypeError(f"A budget is a number of dollars, not {amount!r:.80}.")
    if not math.isfinite(amount) or not 0 <= amount <= MAX_DOLLARS:
        raise CloudValueError(
            f"A budget is from $0 to ${MAX_DOLLARS:,.0f}, not {given!r:.80}; 0 stops every job."
        )
    return float(amount)


def _period(per: str | None) -> BudgetPeriod:
    if per not in _PERIODS:
        raise CloudValueError(f'per must be "day", "month" or None, not {per!r:.80}.')
    return _PERIODS[per]


def _label(label: str | None) -> str | None:
    if label is not None and (not isinstance(label, str) or not 0 < len(label) <= MAX_LABEL):
        raise CloudValueError(f"label must have 1 to {MAX_LABEL} characters, not {label!r:.80}.")
    return label


def _shown(budget: ListedBudget) -> dict[str, Any]:
    return {
        "dollars": budget.dollars,
        "per": None if budget.period == "total" else budget.period,
        "label": budget.label,
        "action": budget.action,
        "spent": budget.spent,
        "left": budget.left,
        "since": datetime.fromtimestamp(budget.since_at, UTC).astimezone(),
        "cap": budget.is_cap,
    }


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
