"""`/usage`: what an account has stored, what its jobs cost, what it pays, and its budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.usage import USAGE_GROUPS, UsageGroup

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
        )


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    app.add_route("/usage", UsagePage(use_cases, renderer, visitors))
