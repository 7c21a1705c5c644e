"""`/v1/bucket`: the objects of an account; `/public`: the public ones, without a credential."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model.errors import ObjectNotFound, RequestRefused
from picloud_model.wire import Answer
from picloud_model.wire import Request as WireRequest
from picloud_model.wire import bucket as wire

from picloud_api.resources.body import (
    authenticate,
    read_body,
    reauthenticate,
    set_account,
    write_body,
)
from picloud_api.resources.object_reply import reply_with_object
from picloud_api.resources.route import Credential, Route, post
from picloud_api.usecases.accounts.account import Caller
from picloud_api.usecases.accounts.slot_token import is_token
from picloud_api.usecases.storage.bucket import content_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases

Query = TypeVar("Query", bound=WireRequest)

PUT_BYTES: Final = wire.INLINE_OBJECT_BYTES + wire.INLINE_OBJECT_BYTES // 2 + 64 * 1024
"""Longest body of a request with an object in it, as JSON."""
_SANDBOX: Final = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"
"""So that a public page is a site of its own: it shares nothing with other pages of this server."""


class BucketResource:
    """The objects of the account whose key, or the token of whose job or slot, a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._slots = use_cases.slots.slots
        self._buckets = use_cases.storage.buckets

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._sender))

    async def _sender(self, credential: str) -> Caller:
        if is_token(credential):
            return Caller((await self._slots.recognise(credential)).pool.account)
        return await self._accounts.recognise(credential)

    async def on_post_put(self, request: Request, response: Response) -> None:
        """Store a small object, or return where to send another one."""
        account = await self._account(request)
        body = await read_body(request, wire.PutObjectRequest, PUT_BYTES)
        await write_body(request, response, await self._buckets.put(account, body))

    async def on_post_parts(self, request: Request, response: Response) -> None:
        """Return where to send a part."""
        account = await self._account(request)
        body = await read_body(request, wire.PutPartRequest)
        target = await self._buckets.part_target(account, body)
        await write_body(request, response, wire.PartTarget(target=target))

    async def on_post_uploaded(self, request: Request, response: Response) -> None:
        """List the parts of an upload that were sent."""
        account = await self._account(request)
        body = await read_body(request, wire.ListPartsRequest)
        await write_body(request, response, await self._buckets.parts(account, body))

    async def on_post_finish(self, request: Request, response: Response) -> None:
        """Store the object whose parts were sent."""
        account = await self._account(request)
        body = await read_body(request, wire.FinishUploadRequest)
        await write_body(request, response, await self._buckets.finish(account, body))

    async def on_post_abort(self, request: Request, response: Response) -> None:
        """Give up an upload."""
        account = await self._account(request)
        await self._buckets.abort(account, await read_body(request, wire.AbortUploadRequest))
        await write_body(request, response, Answer())

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return what is known of an object."""
        account = await self._account(request)
        body = await read_body(request, wire.ObjectRequest)
        await write_body(request, response, await self._buckets.info(account, body.key))

    async def on_post_open(self, request: Request, response: Response) -> None:
        """Return where the bytes of an object are."""
        account = await self._account(request)
        body = await read_body(request, wire.OpenObjectRequest)
        opened = await self._buckets.open(account, body.key, body.inline_bytes)
        await write_body(request, response, opened)

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List objects."""
        account = await self._account(request)
        body = await read_body(request, wire.ListObjectsRequest)
        await write_body(request, response, await self._buckets.list(account, body))

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove objects."""
        account = await self._account(request)
        body = await read_body(request, wire.RemoveObjectsRequest)
        await self._buckets.remove(account, body.keys)
        await write_body(request, response, Answer())

    async def on_post_copy(self, request: Request, response: Response) -> None:
        """Copy an object."""
        account = await self._account(request)
        body = await read_body(request, wire.CopyObjectRequest)
        copied = await self._buckets.copy(account, body.source, body.target)
        await write_body(request, response, copied)

    async def on_post_path(self, request: Request, response: Response) -> None:
        """Return what a path is."""
        account = await self._account(request)
        body = await read_body(request, wire.PathRequest)
        await write_body(request, response, await self._buckets.path(account, body.path))

    async def on_post_publish(self, request: Request, response: Response) -> None:
        """Make an object public or private."""
        account = await self._account(request)
        body = await read_body(request, wire.PublishObjectRequest)
        await write_body(request, response, await self._buckets.publish(account, body))

    async def on_post_folder(self, request: Request, response: Response) -> None:
        """Return where the public objects of the account are."""
        account = await self._account(request)
        await read_body(request, wire.PublicFolderRequest)
        await write_body(request, response, wire.PublicFolder(path=wire.public_path(account)))

    async def on_get_object(self, request: Request, response: Response) -> None:
        """Return bytes of an object."""
        account = await self._account(request)
        key = _query(request, wire.ObjectBytesQuery).key
        info = await self._buckets.head(account, key)
        read = partial(self._buckets.read, account, key)
        await reply_with_object(request, response, info, read)

    async def on_put_object(self, request: Request, response: Response) -> None:
        """Store an object whose bytes are the body."""
        account = await self._account(request)
        query = _query(request, wire.WriteObjectQuery)
        headers = content_headers(request.headers_lower)
        size = _announced(request)
        chunks = _received(request)
        stored = await self._buckets.write(account, query, chunks, headers, size=size)
        await write_body(request, response, stored)

    async def on_put_part(self, request: Request, response: Response) -> None:
        """Store a part whose bytes are the body."""
        account = await self._account(request)
        query = _query(request, wire.WritePartQuery)
        size = _announced(request)
        await self._buckets.write_part(account, query, _received(request), size=size)
        await write_body(request, response, Answer())


class PublicObjectResource:
    """Public objects, for everybody: with any other object the reply is as with none."""

    def __init__(self, use_cases: UseCases) -> None:
        self._buckets = use_cases.storage.buckets

    async def on_get_one(
        self, request: Request, response: Response, account: str, key: str
    ) -> None:
        """Return a public object."""
        # The path as it was sent: falcon removes a slash at its end.
        raw = request.scope.get("raw_path", b"").decode("latin-1")
        key = wire.public_key(account, raw) or key
        try:
            info = await self._buckets.head(account, key, public=True)
        except (ObjectNotFound, RequestRefused):
            raise ObjectNotFound("There is no public object at this address.") from None
        response.set_header("X-Content-Type-Options", "nosniff")
        response.set_header("Content-Security-Policy", _SANDBOX)
        response.set_header("Access-Control-Allow-Origin", "*")
        read = partial(self._buckets.read, account, key)
        await reply_with_object(request, response, info, read)

    async def on_head_one(
        self, request: Request, response: Response, account: str, key: str
    ) -> None:
        """Return the headers of a public object."""
        await self.on_get_one(request, response, account, key)


def _announced(request: Request) -> int:
    """Return the length of a body, which a quota has to know before it arrives."""
    if request.content_length is None:
        raise RequestRefused("Send the length of the bytes as Content-Length.")
    return request.content_length


async def _received(request: Request) -> AsyncIterator[bytes]:
    """Yield a body; a credential that was revoked while it arrived stores nothing."""
    async for chunk in request.stream:
        if chunk:
            yield chunk
    await reauthenticate(request)


def _query(request: Request, kind: type[Query]) -> Query:
    """Return the parameters of a request; those that the operation does not have are ignored."""
    values: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        text = request.get_param(name)
        if text is not None:
            values[name] = text
    return msgspec.convert(values, kind, strict=False)


_ANY: Final = Credential.ANY
ROUTES: Final = (
    post("/v1/bucket/put", BucketResource, wire.PutObjectRequest, wire.ObjectPut, _ANY),
    post("/v1/bucket/parts", BucketResource, wire.PutPartRequest, wire.PartTarget, _ANY),
    post("/v1/bucket/uploaded", BucketResource, wire.ListPartsRequest, wire.PartsListed, _ANY),
    post(
        "/v1/bucket/finish", BucketResource, wire.FinishUploadRequest, wire.ObjectDescription, _ANY
    ),
    post("/v1/bucket/abort", BucketResource, wire.AbortUploadRequest, Answer, _ANY),
    post("/v1/bucket/info", BucketResource, wire.ObjectRequest, wire.ObjectDescription, _ANY),
    post("/v1/bucket/open", BucketResource, wire.OpenObjectRequest, wire.OpenedObject, _ANY),
    post("/v1/bucket/list", BucketResource, wire.ListObjectsRequest, wire.ObjectsListed, _ANY),
    post("/v1/bucket/remove", BucketResource, wire.RemoveObjectsRequest, Answer, _ANY),
    post("/v1/bucket/copy", BucketResource, wire.CopyObjectRequest, wire.ObjectDescription, _ANY),
    post("/v1/bucket/path", BucketResource, wire.PathRequest, wire.PathFound, _ANY),
    post(
        "/v1/bucket/publish",
        BucketResource,
        wire.PublishObjectRequest,
        wire.ObjectDescription,
        _ANY,
    ),
    post("/v1/bucket/folder", BucketResource, wire.PublicFolderRequest, wire.PublicFolder, _ANY),
    Route(
        verb="GET",
        address="/v1/bucket/object",
        resource=BucketResource,
        query=wire.ObjectBytesQuery,
        answer=bytes,
        has_ranges=True,
        credential=_ANY,
    ),
    Route(
        verb="PUT",
        address="/v1/bucket/object",
        resource=BucketResource,
        query=wire.WriteObjectQuery,
        request=bytes,
        answer=wire.ObjectDescription,
        credential=_ANY,
    ),
    Route(
        verb="PUT",
        address="/v1/bucket/part",
        resource=BucketResource,
        query=wire.WritePartQuery,
        request=bytes,
        answer=Answer,
        credential=_ANY,
    ),
    Route(
        verb="GET",
        address="/public/{account}/{key}",
        resource=PublicObjectResource,
        answer=bytes,
        has_ranges=True,
        credential=Credential.NONE,
        summary="Read an object that its owner has made public; ranges and conditions may be sent.",
    ),
    Route(
        verb="HEAD",
        address="/public/{account}/{key}",
        resource=PublicObjectResource,
        credential=Credential.NONE,
        summary="Read the headers of a public object.",
    ),
)
