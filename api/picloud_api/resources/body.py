"""Bodies and bearers: reading requests and writing answers, the same way for every resource.

A credential is checked when a request begins. While a body is received slowly, or a request waits,
it may be revoked: so it is checked again before the body is used and before an answer is sent.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.errors import KeyRefused, TooLarge

from picloud_api.errors import media_of

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

Body = TypeVar("Body")
Asker = TypeVar("Asker")

ACCOUNT: Final = "picloud.account"
"""Where a request's scope says whose it is, once that is known."""
LASTING_S: Final = 2.0
"""From when on a request has lasted; one that is shorter asks nobody twice."""


class _Admission(msgspec.Struct):
    """How to look at a request's credential again, and when it was looked at."""

    again: Callable[[], Awaitable[object]]
    at: float


async def authenticate(
    request: Request,
    recognise: Callable[[str], Awaitable[Asker]],
    again: Callable[[str], Awaitable[object]] | None = None,
) -> Asker:
    """Who sent a request, by its credential.

    Args:
        request: What was sent.
        recognise: Tells whose a credential is.
        again: The same for the second look, if that is to be another.

    Raises:
        KeyRefused: When there is no credential; and what `recognise` raises.
    """
    credential = bearer(request)
    asker = await recognise(credential)
    looking = partial(again or recognise, credential)
    request.context.admission = _Admission(looking, time.monotonic())
    return asker


async def reauthenticate(request: Request) -> None:
    """Look at the credential of a request that has lasted again; raises as `authenticate`."""
    admission: _Admission | None = getattr(request.context, "admission", None)
    if admission is not None and time.monotonic() - admission.at >= LASTING_S:
        await admission.again()
        admission.at = time.monotonic()


async def read_bytes(request: Request, limit: int = wire.REQUEST_BYTES) -> bytes:
    """The request's body.

    Raises:
        TooLarge: When it is longer than `limit` bytes, said or sent.
        NotAllowed: When its sender's credential ended while it was sent.
    """
    if (request.content_length or 0) > limit:
        raise TooLarge(_too_large(limit))
    data = await _sent(request, limit)
    await reauthenticate(request)
    return data


async def _sent(request: Request, limit: int) -> bytes:
    if request.content_length is not None:
        return bytes(await request.stream.read())
    data = bytearray()
    async for chunk in request.stream:
        data += chunk
        if len(data) > limit:
            raise TooLarge(_too_large(limit))
    return bytes(data)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The request's body as one kind of value, from msgpack or JSON."""
    return wire.decode(await read_bytes(request), kind, media_of(request))


async def write_body(request: Request, response: Response, body: Any) -> None:
    """Answer with a value, in the form the request came in.

    Raises:
        NotAllowed: When the asker's credential ended meanwhile.
    """
    await reauthenticate(request)
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


def set_account(request: Request, account: str) -> str:
    """Whose the request is, for the connection to know where it is at home; answers the same."""
    request.scope[ACCOUNT] = account
    return account


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit // 2**20} MiB; send large data as blobs or in parts."
