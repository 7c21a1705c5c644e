"""`/v1/webhooks`: the secret that signs the webhooks of an account; for holders of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.webhook import (
    RotateWebhookSecretRequest,
    WebhookSecret,
    WebhookSecretRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class WebhookResource:
    """The webhooks of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._secrets = use_cases.accounts.webhook_secrets

    async def on_post_secret(self, request: Request, response: Response) -> None:
        """Return the secret that signs the webhooks of the account."""
        holder = await authenticate(request, self._accounts.holder)
        account = set_account(request, holder.account)
        await read_body(request, WebhookSecretRequest)
        await write_body(request, response, WebhookSecret(secret=await self._secrets.of(account)))

    async def on_post_rotate(self, request: Request, response: Response) -> None:
        """Replace the secret that signs the webhooks of the account."""
        holder = await authenticate(request, self._accounts.holder)
        account = set_account(request, holder.account)
        body = await read_body(request, RotateWebhookSecretRequest)
        secret = await self._secrets.rotate(account, body.request_id)
        await write_body(request, response, WebhookSecret(secret=secret))


ROUTES: Final = (
    post(
        "/v1/webhooks/secret",
        WebhookResource,
        WebhookSecretRequest,
        WebhookSecret,
        Credential.KEY,
    ),
    post(
        "/v1/webhooks/rotate",
        WebhookResource,
        RotateWebhookSecretRequest,
        WebhookSecret,
        Credential.KEY,
    ),
)
