"""`/v1/audit`: who did what in an account; for its owners, not for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.audit import AuditListed, AuditRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_list
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class AuditResource:
    """The audit log of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._audit = use_cases.operation.audit

    async def on_post(self, request: Request, response: Response) -> None:
        """Return entries, the newest first."""
        account = set_account(request, await authenticate(request, self._accounts.holder))
        body = await read_body(request, AuditRequest)
        await write_list(request, response, await self._audit.read(account, body), "entries")


ROUTES: Final = (post("/v1/audit", AuditResource, AuditRequest, AuditListed, Credential.KEY),)
