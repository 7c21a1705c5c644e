"""`/v1/budgets`: what jobs may cost; jobs may list budgets, and holders of a key set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire.budget import (
    BudgetSet,
    BudgetsListed,
    BudgetsRequest,
    RemoveBudgetRequest,
    SetBudgetRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.use_cases import UseCases


class BudgetResource:
    """The budgets of the account whose key a request sends, or of one that it names."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._budgets = use_cases.accounts.budgets

    async def _holder(self, request: Request) -> Holder:
        return await authenticate(request, self._accounts.holder)

    async def on_post(self, request: Request, response: Response) -> None:
        """Set a budget."""
        holder = await self._holder(request)
        body = await read_body(request, SetBudgetRequest)
        await write_body(request, response, await self._budgets.set(holder, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List budgets, with what is spent."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, BudgetsRequest)
        if body.account is not None:
            account = await self._budgets.account(await self._holder(request), body.account)
        listed = BudgetsListed(budgets=await self._budgets.of(account))
        await write_body(request, response, listed)

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove a budget."""
        holder = await self._holder(request)
        await self._budgets.remove(holder, await read_body(request, RemoveBudgetRequest))
        await write_body(request, response, Answer())


_KEY: Final = Credential.KEY
ROUTES: Final = (
    post("/v1/budgets", BudgetResource, SetBudgetRequest, BudgetSet, _KEY),
    post("/v1/budgets/list", BudgetResource, BudgetsRequest, BudgetsListed),
    post("/v1/budgets/remove", BudgetResource, RemoveBudgetRequest, Answer, _KEY),
)
