"""`/v1/queues`: messages that an account pushes and takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import REQUEST_BYTES, Answer
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    CreateQueueRequest,
    ExtendRequest,
    MessagesTaken,
    PushRequest,
    QueueInfo,
    QueueRatesListed,
    QueueRatesRequest,
    QueueRequest,
    QueuesListed,
    QueuesRequest,
    TakeRequest,
    TicketsChecked,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class QueueResource:
    """The queues of the account that sends a request."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._queues = use_cases.queues.queues
        self._rates = use_cases.queues.rates

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Make a queue."""
        account = await self._account(request)
        body = await read_body(request, CreateQueueRequest)
        await write_body(request, response, await self._queues.create(account, body.name))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List queues."""
        account = await self._account(request)
        await read_body(request, QueuesRequest)
        await write_body(request, response, await self._queues.list(account))

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return how many messages a queue has."""
        account = await self._account(request)
        body = await read_body(request, QueueRequest)
        await write_body(request, response, await self._queues.info(account, body.name))

    async def on_post_rates(self, request: Request, response: Response) -> None:
        """Return how fast messages come and go."""
        account = await self._account(request)
        body = await read_body(request, QueueRatesRequest)
        await write_body(request, response, await self._rates.list(account, body.names))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Remove a queue."""
        account = await self._account(request)
        body = await read_body(request, QueueRequest)
        await self._queues.delete(account, body.name)
        await write_body(request, response, Answer())

    async def on_post_purge(self, request: Request, response: Response) -> None:
        """Remove all messages of a queue."""
        account = await self._account(request)
        body = await read_body(request, QueueRequest)
        await self._queues.purge(account, body.name)
        await write_body(request, response, Answer())

    async def on_post_push(self, request: Request, response: Response) -> None:
        """Add messages."""
        account = await self._account(request)
        body = await read_body(request, PushRequest, REQUEST_BYTES)
        await self._queues.push(account, body)
        await write_body(request, response, Answer())

    async def on_post_take(self, request: Request, response: Response) -> None:
        """Take messages."""
        account = await self._account(request)
        body = await read_body(request, TakeRequest)
        await write_body(request, response, await self._queues.take(account, body))

    async def on_post_ack(self, request: Request, response: Response) -> None:
        """Remove messages that were taken."""
        account = await self._account(request)
        body = await read_body(request, AcknowledgeRequest)
        await write_body(request, response, await self._queues.acknowledge(account, body))

    async def on_post_extend(self, request: Request, response: Response) -> None:
        """Set new deadlines of messages that were taken."""
        account = await self._account(request)
        body = await read_body(request, ExtendRequest)
        await write_body(request, response, await self._queues.extend(account, body))


ROUTES: Final = (
    post("/v1/queues", QueueResource, CreateQueueRequest, QueueInfo),
    post("/v1/queues/list", QueueResource, QueuesRequest, QueuesListed),
    post("/v1/queues/info", QueueResource, QueueRequest, QueueInfo),
    post("/v1/queues/rates", QueueResource, QueueRatesRequest, QueueRatesListed),
    post("/v1/queues/delete", QueueResource, QueueRequest, Answer),
    post("/v1/queues/purge", QueueResource, QueueRequest, Answer),
    post("/v1/queues/push", QueueResource, PushRequest, Answer),
    post("/v1/queues/take", QueueResource, TakeRequest, MessagesTaken),
    post("/v1/queues/ack", QueueResource, AcknowledgeRequest, TicketsChecked),
    post("/v1/queues/extend", QueueResource, ExtendRequest, TicketsChecked),
)
