"""`/v1/notebooks`: jobs that browsers open, which are notebooks and desktops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import notebook as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class NotebookResource:
    """The notebooks and desktops of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._notebooks = use_cases.environments.notebooks

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Make a job the machine of a notebook or desktop."""
        account = await self._account(request)
        body = await read_body(request, wire.RunNotebookRequest)
        await write_body(request, response, await self._notebooks.run(account, body))

    async def on_post_get(self, request: Request, response: Response) -> None:
        """Return what is known of a notebook or desktop."""
        account = await self._account(request)
        body = await read_body(request, wire.NotebookRequest)
        notebook = await self._notebooks.get(account, body.name, body.kind)
        await write_body(request, response, notebook)

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List notebooks and desktops."""
        account = await self._account(request)
        await read_body(request, wire.ListNotebooksRequest)
        await write_body(request, response, await self._notebooks.list(account))

    async def on_post_password(self, request: Request, response: Response) -> None:
        """Set or revoke the second password of a notebook or desktop."""
        account = await self._account(request)
        body = await read_body(request, wire.NotebookPasswordRequest)
        await self._notebooks.set_password(account, body)
        await write_body(request, response, Answer())

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Forget a notebook or desktop."""
        account = await self._account(request)
        body = await read_body(request, wire.DeleteNotebookRequest)
        await self._notebooks.delete(account, body.name, body.kind)
        await write_body(request, response, Answer())


_ADDRESS: Final = "/v1/notebooks"
ROUTES: Final = (
    post(_ADDRESS, NotebookResource, wire.RunNotebookRequest, wire.Notebook),
    post(f"{_ADDRESS}/get", NotebookResource, wire.NotebookRequest, wire.Notebook),
    post(f"{_ADDRESS}/list", NotebookResource, wire.ListNotebooksRequest, wire.NotebooksListed),
    post(f"{_ADDRESS}/password", NotebookResource, wire.NotebookPasswordRequest, Answer),
    post(f"{_ADDRESS}/delete", NotebookResource, wire.DeleteNotebookRequest, Answer),
)
