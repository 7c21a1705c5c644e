"""Budgets of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire import Answer
from picloud_model.wire.budget import (
    BudgetSet,
    BudgetsListed,
    BudgetsRequest,
    RemoveBudgetRequest,
    SetBudgetRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.budget import ListedBudget

    from cloud._http.transport import Transport


class BudgetClient:
    """Sets, lists and removes budgets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def set(self, request: SetBudgetRequest) -> ListedBudget:
        """Set a budget in place of an earlier one for the same period and label."""
        return self._transport.post("/v1/budgets", request, BudgetSet).budget

    def list(self, account: str | None = None) -> Sequence[ListedBudget]:
        """Return all budgets, with what is spent."""
        request = BudgetsRequest(account=account)
        return self._transport.post("/v1/budgets/list", request, BudgetsListed).budgets

    def remove(self, request: RemoveBudgetRequest) -> None:
        """Remove a budget."""
        self._transport.post("/v1/budgets/remove", request, Answer)
