"""Bodies and credentials: reads requests and writes replies, in one way for every resource.

A credential is checked when a request begins. It may be revoked while a body arrives slowly or a
request waits; so it is checked again before the body is used and before the reply is sent.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from picloud_model import wire
from picloud_model.errors import KeyRefused, NotAllowed, TooLarge

from picloud_api.errors import media_of
from picloud_api.resources.audit_trail import note
from picloud_api.resources.in_flight import COUNTED_BYTES, IN_FLIGHT, Hold, account_of, sender_of
from picloud_api.resources.least_role import check_role

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.resources.in_flight import RequestsInFlight
    from picloud_api.usecases.accounts.account import Holder

Body = TypeVar("Body")
Sender = TypeVar("Sender")

ACCOUNT: Final = "picloud.account"
"""The key of a request's scope that holds its account, once that is known."""
KNOWN: Final = "picloud.known"
"""The key of a request's scope that is there once its credential was found valid."""
_MEMORY: Final = 60
"""Bytes of memory for each byte of a body that names things: a jid range of 3 bytes is a tuple of
two numbers, and a part of a page while the request waits."""
LASTING_S: Final = 2.0
"""From this age on, the credential of a request is checked again."""


class _Check(msgspec.Struct):
    """The last check of a request's credential: how to repeat it, and when it was made."""

    repeat: Callable[[], Awaitable[object]]
    made_at: float


async def authenticate(
    request: Request,
    recognise: Callable[[str], Awaitable[Sender]],
    again: Callable[[str], Awaitable[object]] | None = None,
    *,
    read: Callable[[Request], str] | None = None,
) -> Sender:
    """Return the sender of a request, by its credential.

    Args:
        request: The request.
        recognise: Returns the sender that a credential belongs to.
        again: Checks the credential later, if not `recognise`.
        read: Reads the credential, if not `bearer`.

    Raises:
        KeyRefused: When there is no credential; and what `recognise` raises.
        RoleRefused: When the role of the sender does not allow the request.
        AccountBusy: When too many requests of the sender are not answered yet.
    """
    credential = (read or bearer)(request)
    sender = await recognise(credential)
    check_role(request, sender)
    begin_request(request, sender)
    request.scope[KNOWN] = True
    request.context.check = _Check(partial(again or recognise, credential), time.monotonic())
    return sender


async def authenticate_basic(
    request: Request, response: Response, recognise: Callable[[str], Awaitable[Holder]]
) -> str:
    """Return the account of a request that sends an API key by HTTP Basic authentication.

    Raises:
        NotAllowed: When it sends none that is valid; the response then says what to send.
    """
    with basic_challenge(response):
        holder = await authenticate(request, recognise, read=basic_key)
    return set_account(request, holder)


@contextmanager
def basic_challenge(response: Response) -> Iterator[None]:
    """Have the response to a refused credential say what to send.

    Many HTTP clients send a password only after the server has asked for it.
    """
    try:
        yield
    except NotAllowed:
        response.set_header("WWW-Authenticate", 'Basic realm="PiCloud"')
        raise


def begin_request(request: Request, sender: object) -> None:
    """Count a request of a sender that is not answered yet; without a credential, it is a name.

    Raises:
        AccountBusy: When too many requests of the sender are not answered yet.
    """
    request.context.sender = sender
    in_flight: RequestsInFlight | None = getattr(request.context, "in_flight", None)
    if in_flight is not None:
        in_flight.begin(request)


async def reauthenticate(request: Request) -> None:
    """Check the credential of a long request again; raises as `authenticate`."""
    check: _Check | None = getattr(request.context, "check", None)
    if check is not None and time.monotonic() - check.made_at >= LASTING_S:
        await check.repeat()
        check.made_at = time.monotonic()


async def read_bytes(request: Request, limit: int = wire.REQUEST_BYTES) -> bytes:
    """Read a request's body.

    Raises:
        TooLarge: When it is declared or received to be longer than `limit` bytes.
        AccountBusy: When too many bytes of its sender are under way.
        NotAllowed: When the credential was revoked while the body arrived.
    """
    declared = request.content_length
    if declared is None:
        declared = limit  # it may become as long
    elif declared > limit:
        raise TooLarge(_too_large(limit))
    if declared > COUNTED_BYTES:
        await hold_bytes(request, declared)
    data = await _received(request, limit)
    await reauthenticate(request)
    return data


async def _received(request: Request, limit: int) -> bytes:
    if request.content_length is not None:
        return bytes(await request.stream.read())
    data = bytearray()
    async for chunk in request.stream:
        data += chunk
        if len(data) > limit:
            raise TooLarge(_too_large(limit))
    return bytes(data)


async def hold_bytes(request: Request, size: int) -> Hold:
    """Count bytes that a request holds in memory until it is answered.

    Returns:
        What counts all bytes of the request.

    Raises:
        AccountBusy: When too many bytes of its sender are under way.
    """
    hold: Hold | None = getattr(request.context, "hold", None)
    if hold is None:
        name = sender_of(getattr(request.context, "sender", ""))
        hold = request.context.hold = Hold(IN_FLIGHT, name)
    await IN_FLIGHT.add(hold, size)
    return hold


async def hold_apart(request: Request, size: int) -> Hold:
    """Count bytes that more than this request may hold in memory.

    Returns:
        What counts them for as long as it is referred to.

    Raises:
        AccountBusy: When too many bytes of its sender are under way.
    """
    hold = Hold(IN_FLIGHT, sender_of(getattr(request.context, "sender", "")))
    await IN_FLIGHT.add(hold, size)
    return hold


async def read_body(request: Request, kind: type[Body], limit: int = wire.NAMES_BYTES) -> Body:
    """Read a request's body, msgpack or JSON, as a value of one kind.

    The values of a body that names many things take more memory than the body: they are counted.
    A request that belongs into the audit log is recorded there.
    """
    data = await read_bytes(request, limit)
    if limit == wire.NAMES_BYTES and len(data) > COUNTED_BYTES:
        await hold_bytes(request, _MEMORY * len(data))
    body = await decode_body(request, data, kind)
    await note(request, body)
    return body


async def decode_body(request: Request, data: bytes, kind: type[Body]) -> Body:
    """Decode the body of a request; a large one takes a turn on the event loop."""
    media = media_of(request)
    in_flight: RequestsInFlight | None = getattr(request.context, "in_flight", None)
    if len(data) <= COUNTED_BYTES or in_flight is None:
        return wire.decode(data, kind, media)
    async with in_flight.turn(request):
        return wire.decode(data, kind, media)


async def write_body(request: Request, response: Response, body: Any) -> None:
    """Reply with a value, in the format of the request.

    Raises:
        NotAllowed: When the credential was revoked meanwhile.
    """
    await reauthenticate(request)
    response.content_type = media_of(request)
    response.data = wire.encode(body, response.content_type)


async def write_list(
    request: Request, response: Response, body: msgspec.Struct, field: str
) -> None:
    """Reply as `write_body` does with a value one of whose fields is a list, which may be long.

    Raises:
        NotAllowed: When the credential was revoked meanwhile.
    """
    in_flight: RequestsInFlight = request.context.in_flight
    encode = partial(in_flight.turn(request).encode, body, field)
    await write_encoded(request, response, encode)


async def write_encoded(
    request: Request, response: Response, encode: Callable[[str], Awaitable[bytes]]
) -> None:
    """Reply with what is encoded in the format of the request, perhaps for other requests, too.

    Raises:
        NotAllowed: When the credential was revoked meanwhile.
    """
    response.content_type = media_of(request)
    response.data = await encode(response.content_type)
    await reauthenticate(request)


def bearer(request: Request) -> str:
    """Return the credential of a request.

    Raises:
        KeyRefused: When there is none.
    """
    kind, _, credential = (request.get_header("Authorization") or "").partition(" ")
    if kind.lower() != "bearer" or not credential:
        message = "No API key was sent: give one as 'Authorization: Bearer <key>'."
        raise KeyRefused(message)
    return credential


def basic_key(request: Request) -> str:
    """Return the API key of a request with HTTP Basic authentication: the id and the secret.

    Raises:
        KeyRefused: When there is none.
    """
    name, secret = basic_pair(request)
    return f"pk_{name}_{secret}"


def basic_pair(request: Request) -> tuple[str, str]:
    """Return the user name and the password of a request with HTTP Basic authentication.

    Raises:
        KeyRefused: When there is none.
    """
    kind, _, encoded = (request.get_header("Authorization") or "").partition(" ")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        pair = ""
    name, _, secret = pair.partition(":")
    if kind.lower() != "basic" or not name:
        message = (
            "No API key was sent: give its id as the user name and its secret as the password."
        )
        raise KeyRefused(message)
    return name, secret


def set_account(request: Request, sender: object) -> str:
    """Record the account of the sender of a request, for account affinity; return the account."""
    account = sender if isinstance(sender, str) else account_of(sender)
    request.scope[ACCOUNT] = account
    return account


def _too_large(limit: int) -> str:
    size = f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 2**10} KiB"
    return f"The body is larger than {size}; send large data as blobs or in parts."
