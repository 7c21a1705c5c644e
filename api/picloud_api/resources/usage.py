"""`/v1/usage`: what an account has stored, and what its jobs have run and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire
from picloud_model.wire.usage import JobUsage, JobUsageRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class UsageResource:
    """The usage of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._usage = use_cases.storage.usage
        self._of_jobs = use_cases.accounts.job_usage

    async def on_post(self, request: Request, response: Response) -> None:
        """Return how much is stored."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        await read_body(request, wire.UsageRequest)
        await write_body(request, response, await self._usage.measure(account))

    async def on_post_jobs(self, request: Request, response: Response) -> None:
        """Return how long jobs have run and what they cost."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, JobUsageRequest)
        await write_body(request, response, await self._of_jobs.read(account, body))


ROUTES: Final = (
    post("/v1/usage", UsageResource, wire.UsageRequest, wire.AccountUsage),
    post("/v1/usage/jobs", UsageResource, JobUsageRequest, JobUsage),
)
