"""`/usage`: what an account has stored, what its jobs cost, what it pays, and its budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PathNotFound
from picloud_model.wire.budget import (
    BUDGET_ACTIONS,
    BUDGET_PERIODS,
    RemoveBudgetRequest,
    SetBudgetRequest,
)
from picloud_model.wire.usage import USAGE_GROUPS, UsageGroup

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

_DAYS: Final = 30


class UsagePage:
    """The storage that an account uses, and what its jobs of the last days have cost."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._stored = use_cases.storage.usage
        self._of_jobs = use_cases.accounts.job_usage
        self._budgets = use_cases.accounts.budgets
        self._statements = use_cases.accounts.statements
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show how much is stored, and what jobs have cost, by what the visitor chose."""
        visitor = await self._visitors.of(request)
        chosen = request.get_param("by")
        by: UsageGroup = next((each for each in USAGE_GROUPS if each == chosen), "label")
        used = await self._of_jobs.recent(visitor.account, _DAYS, by)
        self._renderer.show(
            response,
            "usage.html",
            visitor,
            statements=await self._statements.latest(visitor.account),
            budgets=await self._budgets.of(visitor.account),
            usage=await self._stored.measure(visitor.account),
            rows=sorted(used.rows, key=lambda row: (-row.core_ms, row.group)),
            is_cut=used.more is not None,
            by=by,
            groups=USAGE_GROUPS,
            days=_DAYS,
            periods=BUDGET_PERIODS,
            actions=BUDGET_ACTIONS,
        )

    async def on_post_budget(self, request: Request, response: Response, verb: str) -> None:
        """Set a budget, in place of one of its label and period, or remove it."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        # Without a label it is for all jobs.
        values = {name: text_of(fields, name) for name in ("period", "label") if fields.get(name)}
        values = {name: value for name, value in values.items() if value}
        if verb == "set":
            values |= {name: text_of(fields, name) for name in ("dollars", "action")}
            # Not strict: a number in a form is text.
            wanted = msgspec.convert(values, SetBudgetRequest, strict=False)
            await self._budgets.set(visitor.holder, wanted)
        elif verb == "remove":
            await self._budgets.remove(visitor.holder, msgspec.convert(values, RemoveBudgetRequest))
        else:
            raise PathNotFound
        go_to(response, "/usage")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = UsagePage(use_cases, renderer, visitors)
    app.add_route("/usage", page)
    app.add_route("/usage/budgets/{verb}", page, suffix="budget")
