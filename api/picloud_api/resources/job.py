"""`/v1/jobs`: submit, status, wait, kill."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from picloud_model import wire
from picloud_model.wire.trace import HEADER

from picloud_api.resources.body import (
    authenticate,
    decode_body,
    hold_apart,
    hold_bytes,
    read_body,
    read_bytes,
    set_account,
    write_body,
    write_encoded,
    write_list,
)
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class JobResource:
    """The jobs of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._jobs = use_cases.jobs
        self._traces = use_cases.traces

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Create a batch."""
        caller = await authenticate(request, self._accounts.recognise)
        set_account(request, caller.account)
        data = await read_bytes(request)
        body = await decode_body(request, data, wire.SubmitRequest)
        fingerprint = blake2b(data, digest_size=16).digest()
        submitted = await self._traces.submit(
            body,
            request.get_header(HEADER),
            lambda batch: self._jobs.submit.submit(
                caller.account, batch, fingerprint, parent=caller.jid
            ),
        )
        await write_body(request, response, submitted)

    async def on_post_staged(self, request: Request, response: Response) -> None:
        """Store packs for a later submit."""
        account = await self._account(request)
        await self._jobs.submit.stage(
            account, await read_body(request, wire.StageRequest, wire.REQUEST_BYTES)
        )
        await write_body(request, response, wire.Answer())

    async def on_post_status(self, request: Request, response: Response) -> None:
        """Return statuses."""
        account = await self._account(request)
        body = await read_body(request, wire.JobsRequest)
        hold = partial(hold_bytes, request)
        statuses = await self._jobs.status.status(account, body.jids or [], hold)
        await write_list(request, response, statuses, "runs")

    async def on_post_wait(self, request: Request, response: Response) -> None:
        """Wait for jobs and return their outcomes."""
        account = await self._account(request)
        body = await read_body(request, wire.WaitRequest)
        outcomes = await self._jobs.wait.wait(account, body, partial(hold_apart, request))
        request.context.outcomes = outcomes  # they count their bytes until the reply is sent
        await write_encoded(request, response, outcomes.encoded)

    async def on_post_kill(self, request: Request, response: Response) -> None:
        """Kill jobs."""
        account = await self._account(request)
        body = await read_body(request, wire.JobsRequest)
        await write_body(request, response, await self._jobs.kill.kill(account, body.jids))


ROUTES: Final = (
    post("/v1/jobs", JobResource, wire.SubmitRequest, wire.Submitted),
    post("/v1/jobs/staged", JobResource, wire.StageRequest, wire.Answer),
    post("/v1/jobs/status", JobResource, wire.JobsRequest, wire.Statuses),
    post("/v1/jobs/wait", JobResource, wire.WaitRequest, wire.Outcomes),
    post("/v1/jobs/kill", JobResource, wire.JobsRequest, wire.Killed),
)
