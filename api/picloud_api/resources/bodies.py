"""Bodies and bearers: reading requests and writing answers, the same way for every resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from picloud_model import wire
from picloud_model.errors import KeyRefused, TooLarge

from picloud_api.errors import media_of

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

Body = TypeVar("Body")

ACCOUNT: Final = "picloud.account"
"""Where a request's scope says whose it is, once that is known."""


async def raw(request: Request, limit: int = wire.REQUEST_BYTES) -> bytes:
    """The request's body.

    Raises:
        TooLarge: When it is longer than `limit` bytes, said or sent.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(_too_large(limit))
    if request.content_length is not None:
        return bytes(await request.stream.read())
    data = bytearray()
    async for chunk in request.stream:
        data += chunk
        if len(data) > limit:
            raise TooLarge(_too_large(limit))
    return bytes(data)


async def read(request: Request, kind: type[Body]) -> Body:
    """The request's body as one kind of value, from msgpack or JSON."""
    return wire.decode(await raw(request), kind, media_of(request))


def write(request: Request, response: Response, body: Any) -> None:
    """Answer with a value, in the form the request came in."""
    response.content_type = media_of(request)
    response.data = wire.encode(body, response.content_type)


def bearer(request: Request) -> str:
    """The credential of a request.

    Raises:
        KeyRefused: When there is none.
    """
    kind, _, credential = (request.get_header("Authorization") or "").partition(" ")
    if kind.lower() != "bearer" or not credential:
        message = "No API key was sent: give one as 'Authorization: Bearer <key>'."
        raise KeyRefused(message)
    return credential


def note(request: Request, account: str) -> str:
    """Whose the request is, for the connection to know where it is at home; answers the same."""
    request.scope[ACCOUNT] = account
    return account


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit // 2**20} MiB; send large data as blobs or in parts."
