"""`/v1/environments/setup`: the machines in which environments are changed by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import setup_machine as wire
from picloud_model.wire.environment import Environment
from picloud_model.wire.tunnel import CertificateIssued, TunnelOpened

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class SetupMachineResource:
    """The setup machines of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._machines = use_cases.setup_machines

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post_setup(self, request: Request, response: Response) -> None:
        """Open a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.OpenSetupRequest)
        await write_body(request, response, await self._machines.open(account, body))

    async def on_post_setup_get(self, request: Request, response: Response) -> None:
        """Return what is known of a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.SetupRequest)
        await write_body(request, response, await self._machines.get(account, body.name))

    async def on_post_setup_save(self, request: Request, response: Response) -> None:
        """Begin to save a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.SaveSetupRequest)
        await write_body(request, response, await self._machines.save(account, body))

    async def on_post_setup_ssh(self, request: Request, response: Response) -> None:
        """Open a stream to a shell server in a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.SetupShellRequest)
        await write_body(request, response, await self._machines.open_shell(account, body))

    async def on_post_setup_certificate(self, request: Request, response: Response) -> None:
        """Issue an SSH certificate for a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.SetupCertificateRequest)
        await write_body(request, response, await self._machines.certify(account, body))

    async def on_post_setup_close(self, request: Request, response: Response) -> None:
        """End a machine."""
        account = await self._account(request)
        body = await read_body(request, wire.CloseSetupRequest)
        await self._machines.close(account, body)
        await write_body(request, response, Answer())


_ADDRESS: Final = "/v1/environments/setup"
ROUTES: Final = (
    post(_ADDRESS, SetupMachineResource, wire.OpenSetupRequest, wire.SetupMachine),
    post(f"{_ADDRESS}/get", SetupMachineResource, wire.SetupRequest, wire.SetupMachine),
    post(f"{_ADDRESS}/save", SetupMachineResource, wire.SaveSetupRequest, Environment),
    post(f"{_ADDRESS}/ssh", SetupMachineResource, wire.SetupShellRequest, TunnelOpened),
    post(
        f"{_ADDRESS}/certificate",
        SetupMachineResource,
        wire.SetupCertificateRequest,
        CertificateIssued,
    ),
    post(f"{_ADDRESS}/close", SetupMachineResource, wire.CloseSetupRequest, Answer),
)
