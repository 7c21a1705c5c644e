"""`/v1/passwords/reset`: links by which people choose new passwords, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.password_reset import PasswordResetMade, ResetPasswordRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class PasswordResetResource:
    """Links by which people choose new passwords."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._resets = use_cases.accounts.password_resets

    async def on_post_reset(self, request: Request, response: Response) -> None:
        """Make a link."""
        holder = await authenticate(request, self._accounts.holder)
        set_account(request, holder)
        body = await read_body(request, ResetPasswordRequest)
        await write_body(request, response, await self._resets.create(holder, body.name))


ROUTES: Final = (
    post(
        "/v1/passwords/reset",
        PasswordResetResource,
        ResetPasswordRequest,
        PasswordResetMade,
        Credential.KEY,
    ),
)
