"""`/v1/streams`: the values that jobs yield while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import stream as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class StreamResource:
    """The streams of the jobs of an account."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._streams = use_cases.sharing.streams

    async def on_post(self, request: Request, response: Response) -> None:
        """Add values to the stream of a job."""
        caller = await authenticate(request, self._accounts.recognise)
        set_account(request, caller.account)
        body = await read_body(request, wire.AppendStreamRequest)
        await write_body(request, response, await self._streams.append(caller, body))

    async def on_post_read(self, request: Request, response: Response) -> None:
        """Return values of a stream."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, wire.ReadStreamRequest)
        await write_body(request, response, await self._streams.read(account, body))


ROUTES: Final = (
    post("/v1/streams", StreamResource, wire.AppendStreamRequest, wire.StreamAppended),
    post("/v1/streams/read", StreamResource, wire.ReadStreamRequest, wire.StreamRead),
)
