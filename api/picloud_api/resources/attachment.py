"""`/v1/attachments`: the handlers of queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import REQUEST_BYTES, Answer
from picloud_model.wire.attachment import (
    AttachmentInfo,
    AttachmentRequest,
    AttachmentsListed,
    AttachmentsRequest,
    AttachRequest,
    HandledRequest,
    UpdateAttachmentRequest,
)
from picloud_model.wire.queue import TicketsChecked

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class AttachmentResource:
    """The handlers of queues of the account that sends a request."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._attachments = use_cases.queues.attachments
        self._handled = use_cases.queues.handled

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Attach a handler."""
        account = await self._account(request)
        body = await read_body(request, AttachRequest)
        await write_body(request, response, await self._attachments.attach(account, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List attachments."""
        account = await self._account(request)
        await read_body(request, AttachmentsRequest)
        await write_body(request, response, await self._attachments.list(account))

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return what is known of a handler."""
        account = await self._account(request)
        body = await read_body(request, AttachmentRequest)
        await write_body(request, response, await self._attachments.info(account, body.queue))

    async def on_post_update(self, request: Request, response: Response) -> None:
        """Change a handler while it works."""
        account = await self._account(request)
        body = await read_body(request, UpdateAttachmentRequest)
        await write_body(request, response, await self._attachments.update(account, body))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Detach a handler."""
        account = await self._account(request)
        body = await read_body(request, AttachmentRequest)
        await self._attachments.detach(account, body.queue)
        await write_body(request, response, Answer())

    async def on_post_handled(self, request: Request, response: Response) -> None:
        """Push what a handler made of messages, and remove these."""
        account = await self._account(request)
        body = await read_body(request, HandledRequest, REQUEST_BYTES)
        await write_body(request, response, await self._handled.exchange(account, body))


ROUTES: Final = (
    post("/v1/attachments", AttachmentResource, AttachRequest, AttachmentInfo),
    post("/v1/attachments/list", AttachmentResource, AttachmentsRequest, AttachmentsListed),
    post("/v1/attachments/info", AttachmentResource, AttachmentRequest, AttachmentInfo),
    post("/v1/attachments/update", AttachmentResource, UpdateAttachmentRequest, AttachmentInfo),
    post("/v1/attachments/delete", AttachmentResource, AttachmentRequest, Answer),
    post("/v1/attachments/handled", AttachmentResource, HandledRequest, TicketsChecked),
)
