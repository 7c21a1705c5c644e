"""`/v1/secrets`: values that the jobs of an account need, which no client can read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import secret as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class SecretResource:
    """The secrets of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._secrets = use_cases.accounts.secrets
        self._slots = use_cases.slots.slots

    async def _account(self, request: Request) -> str:
        # Of a key only: a job may use secrets, but not change them.
        return (await authenticate(request, self._accounts.holder)).account

    async def on_post(self, request: Request, response: Response) -> None:
        """Set a secret."""
        account = await self._account(request)
        await self._secrets.set(account, await read_body(request, wire.SetSecretRequest))
        await write_body(request, response, Answer())

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List secrets."""
        account = await self._account(request)
        await read_body(request, wire.SecretsRequest)
        await write_body(request, response, await self._secrets.list(account))

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove a secret."""
        account = await self._account(request)
        body = await read_body(request, wire.SecretRequest)
        await self._secrets.remove(account, body.name)
        await write_body(request, response, Answer())

    async def on_post_job(self, request: Request, response: Response) -> None:
        """Return the secrets of a job to its slot."""
        session = await authenticate(request, self._slots.recognise, self._slots.find)
        set_account(request, session.pool.account)
        body = await read_body(request, wire.JobSecretsRequest)
        await write_body(request, response, await self._secrets.of_job(session, body.job))


_KEY: Final = Credential.KEY
_SLOT: Final = Credential.SLOT
ROUTES: Final = (
    post("/v1/secrets", SecretResource, wire.SetSecretRequest, Answer, _KEY),
    post("/v1/secrets/list", SecretResource, wire.SecretsRequest, wire.SecretsListed, _KEY),
    post("/v1/secrets/remove", SecretResource, wire.SecretRequest, Answer, _KEY),
    post("/v1/secrets/job", SecretResource, wire.JobSecretsRequest, wire.JobSecrets, _SLOT),
)
