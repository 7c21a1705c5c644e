"""`/v1/tunnels`: streams to the ports of jobs and to shells in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.tunnel import (
    CertificateIssued,
    CertificateRequest,
    SshTunnelRequest,
    TunnelOpened,
    TunnelRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class TunnelResource:
    """Streams to jobs of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._tunnel = use_cases.jobs.tunnel
        self._shell = use_cases.jobs.shell

    async def on_post(self, request: Request, response: Response) -> None:
        """Open a stream."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, TunnelRequest)
        await write_body(request, response, await self._tunnel.open(account, body))

    async def on_post_ssh(self, request: Request, response: Response) -> None:
        """Open a stream to a shell server."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, SshTunnelRequest)
        await write_body(request, response, await self._shell.open(account, body.jid))

    async def on_post_certificate(self, request: Request, response: Response) -> None:
        """Issue an SSH certificate for a job."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, CertificateRequest)
        await write_body(request, response, await self._shell.certify(account, body))


ROUTES: Final = (
    post("/v1/tunnels", TunnelResource, TunnelRequest, TunnelOpened),
    post("/v1/tunnels/ssh", TunnelResource, SshTunnelRequest, TunnelOpened),
    post("/v1/tunnels/certificate", TunnelResource, CertificateRequest, CertificateIssued),
)
