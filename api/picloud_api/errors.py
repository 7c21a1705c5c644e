"""Errors at the border: one table maps the error tree to HTTP."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import falcon
import msgspec
import structlog
from picloud_model import wire
from picloud_model.errors import (
    AccountBusy,
    AdministratorsOnly,
    ArgumentRefused,
    AttachmentNotFound,
    BlobMissing,
    BucketFull,
    BudgetNotFound,
    BudgetReached,
    CronNotFound,
    EndpointNotFound,
    EnvironmentNotFound,
    GrantNotFound,
    HandlerReplaced,
    InviteNotFound,
    InvokedJobFailed,
    JobDeleted,
    JobNotFound,
    KeyNotFound,
    KeyRefused,
    KeyReused,
    MemberNotFound,
    NotAllowed,
    NotFound,
    ObjectChanged,
    ObjectNotFound,
    PathNotFound,
    PiCloudError,
    QueueNotFound,
    RequestConflict,
    RequestRefused,
    RoleRefused,
    SecretNotFound,
    SecretSourceNotFound,
    ServerFault,
    SlotRefused,
    SubmitChanged,
    TokenRefused,
    TooLarge,
    TooManyCalls,
    Unavailable,
    UploadNotFound,
    VolumeChanged,
    VolumeNotFound,
)

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

STATUS: Final[dict[type[PiCloudError], int]] = {
    PiCloudError: 500,
    RequestRefused: 422,
    TooLarge: 413,
    ArgumentRefused: 400,
    RequestConflict: 422,
    SubmitChanged: 422,
    KeyReused: 422,
    ObjectChanged: 412,
    VolumeChanged: 412,
    BucketFull: 422,
    HandlerReplaced: 409,
    NotAllowed: 403,
    AdministratorsOnly: 403,
    RoleRefused: 403,
    BudgetReached: 402,
    KeyRefused: 401,
    TokenRefused: 401,
    SlotRefused: 401,
    NotFound: 404,
    JobNotFound: 404,
    JobDeleted: 410,
    KeyNotFound: 404,
    MemberNotFound: 404,
    InviteNotFound: 404,
    BlobMissing: 409,
    ObjectNotFound: 404,
    UploadNotFound: 404,
    QueueNotFound: 404,
    BudgetNotFound: 404,
    GrantNotFound: 404,
    CronNotFound: 404,
    AttachmentNotFound: 404,
    EndpointNotFound: 404,
    EnvironmentNotFound: 404,
    PathNotFound: 404,
    VolumeNotFound: 404,
    SecretNotFound: 404,
    SecretSourceNotFound: 404,
    Unavailable: 503,
    AccountBusy: 429,
    TooManyCalls: 429,
    InvokedJobFailed: 500,
    ServerFault: 500,
}
"""The HTTP status of each error; a class that is not listed has that of its parent."""

_USUAL: Final = (
    BlobMissing,
    ObjectNotFound,
    ObjectChanged,
    VolumeChanged,
    AccountBusy,
    TooManyCalls,
)
"""Errors that clients handle in the course of their work; the log has them at level debug."""

_FIELD: Final = re.compile(r"(?P<message>.*?)(?: - at `(?P<field>[^`]*)`)?", re.DOTALL)
_KINDS: Final = {
    "array": "a list",
    "bool": "true or false",
    "bytes": "bytes",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "an object",
    "str": "text",
}
"""The types of JSON and msgpack, in words."""
_PLAIN: Final = tuple(
    (re.compile(pattern, re.DOTALL), sentence)
    for pattern, sentence in (
        (r"Expected `array` of length <= (.+)", "must have at most {} items"),
        (r"Expected `(?:array|str)` of length >= 1", "must not be empty"),
        (r"Expected `array` of length >= (.+)", "must have at least {} items"),
        (
            r"Expected `array` of at least length (\d+), got (\d+)",
            "must have at least {} items, not {}",
        ),
        (r"Expected `array` of length (\d+)(?:, got \d+)?", "must have {} items"),
        (r"Expected `str` of length >= (.+)", "must have at least {} characters"),
        (r"Invalid base64 encoded string", "must be bytes in base64"),
        (r"Expected `str` of length <= (.+)", "must have at most {} characters"),
        (
            r"Expected `str` matching regex '\^\[0-9a-f\]\{(\d+)\}\$'",
            "must be {} hexadecimal digits",
        ),
        (
            r"Expected `str` matching regex '\^\[A-Za-z0-9_-\]\{1,(\d+)\}.*'",
            "must consist of 1 to {} letters, digits, hyphens and underscores",
        ),
        (
            r"Expected `str` matching regex '\^a\[0-9a-z\].*'",
            "must be the id of an account, such as a0000001",
        ),
        (
            r"Expected `str` matching regex '(.+)'",
            "has a length or characters that are not allowed",
        ),
        (r"Expected `\w+` >= (.+)", "must be {} or more"),
        (r"Expected `\w+` <= (.+)", "must be {} or less"),
        (r"Expected `\w+` > (.+)", "must be more than {}"),
        (r"Expected `(.+)`, got `(.+)`", "must be {}, not {}"),
        (r"Invalid enum value (.+)", "must not be {}"),
        (r"Object missing required field `(.+)`", "must be an object with the field `{}`"),
        (r"Object contains unknown field `(.+)`", wire.UNKNOWN_FIELD),
    )
)
"""What msgspec says of a value, and the end of a sentence about that value."""
_log = structlog.get_logger()


def status_of(error: PiCloudError) -> int:
    """Return the HTTP status of an error: that of its class, or of the nearest parent listed."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def media_of(request: Request) -> str:
    """Return the format of a request and its reply: msgpack if it says so, else JSON."""
    headers = f"{request.content_type or ''} {request.accept}"
    return wire.MSGPACK if wire.MSGPACK in headers else wire.JSON


def _address(request: Request) -> str:
    """Return the address as its route has it: the path of a request may hold a credential."""
    return request.uri_template or "unknown"


def answer(request: Request, response: Response, error: PiCloudError) -> None:
    """Reply with an error, and log it."""
    log = _log.debug if isinstance(error, _USUAL) else _log.info
    log(
        "request.refused",
        method=request.method,
        address=_address(request),
        status=status_of(error),
        code=error.code,
        reason=error.message,
    )
    # Not the error itself: its traceback has the request, whose bytes would be held by a cycle.
    request.context.refused = error.code
    response.status = status_of(error)
    if isinstance(error, Unavailable):
        response.set_header("Retry-After", str(error.retry_after_s))
    response.content_type = media_of(request)
    response.data = wire.encode(wire.Problem.of(error), response.content_type)


async def _ours(request: Request, response: Response, error: PiCloudError, _: object) -> None:
    answer(request, response, error)


def plain(message: str) -> str:
    """Return what msgspec found wrong with a value, as the end of a sentence about it.

    >>> plain("Expected `int`, got `str`"), plain("Expected `array` of length <= 100")
    ('must be a whole number, not text', 'must have at most 100 items')
    >>> plain("Object missing required field `jids`")
    'must be an object with the field `jids`'
    >>> plain("Expected `str` matching regex '^[0-9a-f]{12}$'")
    'must be 12 hexadecimal digits'
    >>> plain("Expected `str` matching regex '^[A-Za-z0-9_-]{1,64}$'")
    'must consist of 1 to 64 letters, digits, hyphens and underscores'
    >>> plain("Expected `str` matching regex '^a[0-9a-z]{1,30}$'")
    'must be the id of an account, such as a0000001'
    """
    for pattern, sentence in _PLAIN:
        if matched := pattern.fullmatch(message):
            return sentence.format(*map(_in_words, matched.groups()))
    return f"is not valid: {message}"


def _in_words(kinds: str) -> str:
    return " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))


def refusal(error: msgspec.ValidationError) -> RequestRefused:
    """Return the refusal of a value that is not as the interface requires."""
    matched = _FIELD.fullmatch(str(error))
    message, field = (matched["message"], matched["field"]) if matched else (str(error), None)
    name = (field or "").removeprefix("$").removeprefix(".") or None
    return RequestRefused(f"{name or 'The body'} {plain(message)}.", field=name)


async def _invalid(
    request: Request, response: Response, error: msgspec.ValidationError, _: object
) -> None:
    answer(request, response, refusal(error))


async def _malformed(
    request: Request, response: Response, error: msgspec.DecodeError, _: object
) -> None:
    problem = RequestRefused(f"The body cannot be read: {error}.")
    answer(request, response, problem)
    response.status = falcon.HTTP_400


async def _http(request: Request, response: Response, error: falcon.HTTPError, _: object) -> None:
    if isinstance(error, falcon.HTTPNotFound):
        answer(request, response, PathNotFound())
        return
    message = f"{error.title or 'Refused'}."
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        allowed = dict(error.headers or {}).get("Allow", "")
        response.set_header("Allow", allowed)
        message = f"This address takes {allowed or 'no request'}, not {request.method}."
    answer(request, response, RequestRefused(message))
    response.status = error.status


async def _unexpected(request: Request, response: Response, error: Exception, _: object) -> None:
    _log.error("request.failed", method=request.method, address=_address(request), exc_info=error)
    answer(request, response, ServerFault())


def register(app: App[Request, Response]) -> None:
    """Have the application map every error with the table."""
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(falcon.HTTPError, _http)
    app.add_error_handler(msgspec.DecodeError, _malformed)
    app.add_error_handler(msgspec.ValidationError, _invalid)
    app.add_error_handler(PiCloudError, _ours)
