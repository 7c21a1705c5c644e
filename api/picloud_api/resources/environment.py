"""`/v1/environments`: what the jobs of an account find besides their own modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import environment as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class EnvironmentResource:
    """The environments of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._environments = use_cases.environments.environments

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Begin to build an environment."""
        account = await self._account(request)
        body = await read_body(request, wire.BuildEnvironmentRequest)
        await write_body(request, response, await self._environments.build(account, body))

    async def on_post_get(self, request: Request, response: Response) -> None:
        """Return what is known of an environment."""
        account = await self._account(request)
        body = await read_body(request, wire.EnvironmentRequest)
        await write_body(request, response, await self._environments.get(account, body.name))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List environments."""
        account = await self._account(request)
        body = await read_body(request, wire.ListEnvironmentsRequest)
        found = await self._environments.list(account, public=body.public)
        await write_body(request, response, found)

    async def on_post_bases(self, request: Request, response: Response) -> None:
        """List bases."""
        await self._account(request)
        await read_body(request, wire.ListBasesRequest)
        await write_body(request, response, await self._environments.bases())

    async def on_post_log(self, request: Request, response: Response) -> None:
        """Return a part of the log of a build."""
        account = await self._account(request)
        body = await read_body(request, wire.EnvironmentLogRequest)
        await write_body(request, response, await self._environments.log(account, body))

    async def on_post_clone(self, request: Request, response: Response) -> None:
        """Copy an environment."""
        account = await self._account(request)
        body = await read_body(request, wire.CloneEnvironmentRequest)
        await write_body(request, response, await self._environments.clone(account, body))

    async def on_post_edit(self, request: Request, response: Response) -> None:
        """Change the name or the description of an environment."""
        account = await self._account(request)
        body = await read_body(request, wire.EditEnvironmentRequest)
        await write_body(request, response, await self._environments.edit(account, body))

    async def on_post_rollback(self, request: Request, response: Response) -> None:
        """Make an earlier version the current one."""
        account = await self._account(request)
        body = await read_body(request, wire.RollBackEnvironmentRequest)
        await write_body(request, response, await self._environments.roll_back(account, body))

    async def on_post_publish(self, request: Request, response: Response) -> None:
        """Let other accounts use an environment, or only its owner."""
        account = await self._account(request)
        body = await read_body(request, wire.PublishEnvironmentRequest)
        await write_body(request, response, await self._environments.publish(account, body))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete an environment."""
        account = await self._account(request)
        body = await read_body(request, wire.DeleteEnvironmentRequest)
        await self._environments.delete(account, body.name)
        await write_body(request, response, Answer())


ROUTES: Final = (
    post("/v1/environments", EnvironmentResource, wire.BuildEnvironmentRequest, wire.Environment),
    post("/v1/environments/get", EnvironmentResource, wire.EnvironmentRequest, wire.Environment),
    post(
        "/v1/environments/list",
        EnvironmentResource,
        wire.ListEnvironmentsRequest,
        wire.EnvironmentsListed,
    ),
    post("/v1/environments/bases", EnvironmentResource, wire.ListBasesRequest, wire.BasesListed),
    post(
        "/v1/environments/log", EnvironmentResource, wire.EnvironmentLogRequest, wire.EnvironmentLog
    ),
    post(
        "/v1/environments/clone",
        EnvironmentResource,
        wire.CloneEnvironmentRequest,
        wire.Environment,
    ),
    post(
        "/v1/environments/edit", EnvironmentResource, wire.EditEnvironmentRequest, wire.Environment
    ),
    post(
        "/v1/environments/rollback",
        EnvironmentResource,
        wire.RollBackEnvironmentRequest,
        wire.Environment,
    ),
    post(
        "/v1/environments/publish",
        EnvironmentResource,
        wire.PublishEnvironmentRequest,
        wire.Environment,
    ),
    post("/v1/environments/delete", EnvironmentResource, wire.DeleteEnvironmentRequest, Answer),
)
